//! Text of a client's own that looks like a token. It passes as it is; how
//! much of it is nobody's, or not its subject's, is counted.

use crate::token::{self, Token};
use crate::vault::{Subject, VaultError};
use memchr::memchr_iter;

/// So many are looked at in one body: a client may send as many as it likes.
const MOST: usize = 256;

/// The tokens that stand in a body as Privet writes them.
pub(super) fn tokens_in(body: &[u8]) -> Vec<Token> {
    let token = |open: usize| {
        let rest = body.get(open..)?;
        // Most brackets open an array.
        rest.get(1).filter(|first| first.is_ascii_uppercase())?;
        let close = memchr::memchr(b']', rest.get(..token::MAX_LEN.min(rest.len()))?)?;
        Token::parse(str::from_utf8(rest.get(..=close)?).ok()?)
    };
    memchr_iter(b'[', body).filter_map(token).take(MOST).collect()
}

/// How many of them are not the subject's.
pub(super) async fn unknown(tokens: &[Token], subject: Option<&Subject>) -> Result<usize, VaultError> {
    let known = match subject {
        Some(subject) if !tokens.is_empty() => subject.restore(tokens).await?,
        _ => Vec::new(),
    };
    Ok(tokens.len() - known.iter().flatten().count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::Entity;

    #[test]
    fn only_whole_tokens_are_told() {
        let token = Token::new(Entity::constant("EMAIL"), 77);
        let body = format!("[1,[\"a {token} [EMAIL_7K3FQ2M] [EMAIL] [x] {token}\",[\"{}", "[A".repeat(1000));
        assert_eq!(tokens_in(body.as_bytes()), [token, token]);
        assert_eq!(tokens_in(token.to_string().repeat(300).as_bytes()).len(), MOST);
        assert!(tokens_in(b"").is_empty() && tokens_in(b"[").is_empty());
    }
}
