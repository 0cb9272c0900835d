//! What the demo's chatbot says: the support desk of a small shop that knows
//! no more about a person than the messages it was sent.

use std::fmt::Write as _;

/// One message of the conversation, as the chatbot received it.
pub(super) struct Turn {
    /// Whether the person said it (role `user`).
    pub(super) from_person: bool,
    /// Its text.
    pub(super) text: String,
}

/// The answer to the last thing that the person said. It repeats what the
/// person gave, so that what was replaced on the way here can be seen to
/// come back.
pub(super) fn reply(turns: &[Turn]) -> String {
    let said: Vec<&str> = turns.iter().filter(|t| t.from_person).map(|t| t.text.as_str()).collect();
    let last = said.last().copied().unwrap_or_default();
    let now = Facts::of(&[last]);
    let held = Facts::of(&said);
    let lower = last.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|w| lower.contains(w));

    if has(&["know about me", "about me?", "my data", "hold about", "who am i", "remember"]) {
        what_is_known(&held)
    } else if has(&["refund", "card", "iban", "pay", "charged", "invoice", "bank"]) {
        payment(&held)
    } else if has(&["order", "parcel", "package", "arriv", "track"]) {
        order(&held)
    } else if has(&["address", "deliver", "moved", "moving"]) {
        delivery(&held)
    } else if !now.is_empty() {
        contact(&held, said.len())
    } else if has(&["thank", "bye", "cheers"]) {
        format!("You are welcome{}. Have a good day!", held.comma_name())
    } else if has(&["hello", "hi", "hey", "good morning", "good evening"]) && last.len() < 60 {
        "Hello, this is the support desk of the Corner Shop. Tell me your name and how I can reach you, \
         and what it is about."
            .to_owned()
    } else {
        small_talk(&held, said.len())
    }
}

/// Cuts an answer the way a language model would: word by word, and what is
/// between brackets, which is no word to it, in small bits.
pub(super) fn pieces(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    for word in text.split_inclusive(char::is_whitespace) {
        if !word.contains('[') {
            out.push(word);
            continue;
        }
        let (mut start, mut len, mut want) = (0, 0, 4);
        for (at, _) in word.char_indices() {
            if len == want {
                out.extend(word.get(start..at));
                (start, len, want) = (at, 0, if want == 5 { 3 } else { want + 1 });
            }
            len += 1;
        }
        out.extend(word.get(start..));
    }
    out
}

fn what_is_known(held: &Facts) -> String {
    if held.is_empty() {
        return "Nothing at all. You have not told me anything about yourself yet.".to_owned();
    }
    let mut out = "This is all I hold about you, word for word:\n".to_owned();
    for (kind, value) in &held.0 {
        // Writing to a string cannot fail.
        let _ = write!(out, "\n- **{}:** {value}", kind.label());
    }
    out.push_str("\n\nThat is what I was sent, and it is all I could pass on.");
    out
}

fn payment(held: &Facts) -> String {
    match (held.first(Kind::Iban), held.first(Kind::Card)) {
        (Some(iban), _) => format!(
            "No problem{}. I have started the refund to **{iban}**; it takes two working days.{}",
            held.comma_name(),
            held.receipt(),
        ),
        (None, Some(card)) => format!(
            "No problem{}. I have put the amount back on the card **{card}**. You will see it within three days.{}",
            held.comma_name(),
            held.receipt(),
        ),
        (None, None) => {
            "I can pay that back at once. Which card or bank account (IBAN) may I send the money to?".to_owned()
        }
    }
}

fn order(held: &Facts) -> String {
    let which = held.first(Kind::Order).map_or_else(|| "your order".to_owned(), |n| format!("order {n}"));
    let news = match (held.first(Kind::Email), held.first(Kind::Phone)) {
        (Some(email), Some(phone)) => format!(
            "I will write to {email} as soon as it is at your door, and the driver will call {phone} if nobody opens."
        ),
        (Some(email), None) => format!("I will write to {email} as soon as it is at your door."),
        (None, Some(phone)) => format!("The driver will call {phone} before the last stop."),
        (None, None) => "What email address may I send the news to?".to_owned(),
    };
    format!("Sorry for the wait{}. I looked it up: {which} left our store yesterday. {news}", held.comma_name())
}

fn delivery(held: &Facts) -> String {
    match held.first(Kind::Address) {
        Some(address) => {
            format!("Got it{}. From now on everything goes to **{address}**.{}", held.comma_name(), held.receipt())
        }
        None => format!("I can change that{}. Where should we deliver from now on?", held.comma_name()),
    }
}

fn contact(held: &Facts, turn: usize) -> String {
    let thanks = match turn % 3 {
        1 => format!("Thank you{}.", held.comma_name()),
        2 => format!("Noted{}.", held.comma_name()),
        _ => format!("Good to know{}, thanks.", held.comma_name()),
    };
    let reach = match (held.first(Kind::Email), held.first(Kind::Phone)) {
        (Some(email), Some(phone)) => {
            format!("I will write to **{email}** and, if it is urgent, call {phone}.")
        }
        (Some(email), None) => format!("I will write to **{email}**."),
        (None, Some(phone)) => format!("I will call you on **{phone}** this afternoon."),
        (None, None) => held.last_other().map_or_else(
            || "How can I reach you?".to_owned(),
            |(kind, value)| format!("I have passed {value} ({}) on to our engineers.", kind.label().to_lowercase()),
        ),
    };
    format!("{thanks} {reach} Is there anything else?")
}

fn small_talk(held: &Facts, turn: usize) -> String {
    match (held.first(Kind::Person), turn % 2) {
        (Some(name), 0) => format!("I see, {name}. Shall I ask a colleague to look at it and get back to you?"),
        (Some(name), _) => format!("Let me check that for you, {name}. Could you tell me a little more?"),
        (None, 0) => "I see. Who am I talking to, and how can I reach you?".to_owned(),
        (None, _) => "I am happy to help. Could you tell me your name and an email address for the answer?".to_owned(),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Person,
    Email,
    Phone,
    Card,
    Iban,
    Address,
    Ip,
    Order,
    Other,
}

impl Kind {
    fn of_entity(name: &str) -> Self {
        match name {
            "PERSON" => Self::Person,
            "EMAIL" => Self::Email,
            "PHONE" => Self::Phone,
            "CREDIT_CARD" => Self::Card,
            "IBAN" => Self::Iban,
            "ADDRESS" => Self::Address,
            "IP" => Self::Ip,
            _ => Self::Other,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Person => "Name",
            Self::Email => "Email",
            Self::Phone => "Phone",
            Self::Card => "Card",
            Self::Iban => "Bank account",
            Self::Address => "Address",
            Self::Ip => "Network address",
            Self::Order => "Order",
            Self::Other => "Other",
        }
    }
}

/// What messages say about a person, in the order it was said, each once.
struct Facts(Vec<(Kind, String)>);

impl Facts {
    fn of(texts: &[&str]) -> Self {
        let mut facts = Self(Vec::new());
        for text in texts {
            let mut rest = *text;
            while let Some((before, entity, token, after)) = next_token(rest) {
                facts.read_plain(before);
                facts.add(Kind::of_entity(entity), token);
                rest = after;
            }
            facts.read_plain(rest);
        }
        facts
    }

    /// What stands unprotected in the text. It is a demo's reading, good
    /// enough to show what a chatbot learns where nobody stands in between.
    fn read_plain(&mut self, text: &str) {
        if let Some(name) = given_name(text) {
            self.add(Kind::Person, &name);
        }
        for word in text.split_whitespace() {
            let word = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '#');
            if word.split_once('@').is_some_and(|(local, host)| !local.is_empty() && host.contains('.')) {
                self.add(Kind::Email, word);
            } else if word.len() > 3 && word.starts_with('#') {
                self.add(Kind::Order, word);
            }
        }
        for number in long_numbers(text) {
            let digits = number.chars().filter(char::is_ascii_digit).count();
            self.add(if digits >= 13 { Kind::Card } else { Kind::Phone }, number);
        }
    }

    fn add(&mut self, kind: Kind, value: &str) {
        if !self.0.iter().any(|(_, v)| v == value) {
            self.0.push((kind, value.to_owned()));
        }
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn first(&self, kind: Kind) -> Option<&str> {
        self.0.iter().find(|(k, _)| *k == kind).map(|(_, v)| v.as_str())
    }

    fn last_other(&self) -> Option<(Kind, &str)> {
        self.0.iter().rev().find(|(k, _)| *k != Kind::Person).map(|(k, v)| (*k, v.as_str()))
    }

    fn comma_name(&self) -> String {
        self.first(Kind::Person).map_or_else(String::new, |name| format!(", {name}"))
    }

    fn receipt(&self) -> String {
        self.first(Kind::Email).map_or_else(String::new, |email| format!(" The receipt goes to {email}."))
    }
}

/// The first `[EMAIL_7K3FQ2MZ]`: what stands before it, its entity, the
/// whole of it, and what stands after it.
fn next_token(text: &str) -> Option<(&str, &str, &str, &str)> {
    let mut from = 0;
    loop {
        let open = from + text.get(from..)?.find('[')?;
        let inner = text.get(open + 1..)?;
        let close = inner.find(']')?;
        let name_and_code = inner.get(..close)?;
        if let Some((entity, code)) = name_and_code.rsplit_once('_')
            && code.len() == 8
            && code.bytes().all(|b| b.is_ascii_alphanumeric())
            && entity.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
            && entity.len() > 1
        {
            let end = open + close + 2;
            return Some((text.get(..open)?, entity, text.get(open..end)?, text.get(end..)?));
        }
        from = open + 1;
    }
}

/// The capitalised words after "I am", "my name is" and the like.
fn given_name(text: &str) -> Option<String> {
    let rest = ["I am ", "I'm ", "My name is ", "my name is ", "This is ", "this is "]
        .iter()
        .find_map(|cue| text.split_once(cue).map(|(_, rest)| rest))?;
    let mut name = Vec::new();
    for word in rest.split_whitespace().take(3) {
        let bare = word.trim_end_matches(|c: char| !c.is_alphanumeric());
        if !bare.starts_with(char::is_uppercase) {
            break;
        }
        name.push(bare);
        if bare.len() < word.len() {
            break;
        }
    }
    (!name.is_empty()).then(|| name.join(" "))
}

/// Runs of seven or more digits, with what people write between them.
fn long_numbers(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_digit() || " +-()/".contains(c)))
        .map(|run| run.trim_matches(|c: char| !c.is_ascii_digit() && c != '+'))
        .filter(|run| run.chars().filter(char::is_ascii_digit).count() >= 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(said: &[&str]) -> String {
        let turns: Vec<Turn> = said.iter().map(|t| Turn { from_person: true, text: (*t).to_owned() }).collect();
        reply(&turns)
    }

    #[test]
    fn tokens_come_back_in_the_answer() {
        let text =
            answer(&["Hi, I'm [PERSON_7K3FQ2MZ]. My order has not arrived: [EMAIL_0A1B2C3D], [PHONE_ABCDEFGH]."]);
        for token in ["[PERSON_7K3FQ2MZ]", "[EMAIL_0A1B2C3D]", "[PHONE_ABCDEFGH]"] {
            assert!(text.contains(token), "{text}");
        }
    }

    #[test]
    fn plain_values_come_back_too() {
        let text = answer(&["I am Ana Sol. Write to ana@example.com or call +44 20 7946 0958.", "Where is my order?"]);
        for value in ["Ana Sol", "ana@example.com", "+44 20 7946 0958"] {
            assert!(text.contains(value), "{text}");
        }
    }

    #[test]
    fn it_repeats_all_it_holds() {
        let text = answer(&["[PERSON_7K3FQ2MZ] here, #10482", "[CREDIT_CARD_0A1B2C3D]", "What do you know about me?"]);
        for value in ["[PERSON_7K3FQ2MZ]", "#10482", "[CREDIT_CARD_0A1B2C3D]"] {
            assert!(text.contains(value), "{text}");
        }
        assert!(answer(&["what do you know about me?"]).starts_with("Nothing"));
    }

    #[test]
    fn a_refund_names_where_it_goes() {
        assert!(answer(&["Refund it to [IBAN_7K3FQ2MZ] please"]).contains("**[IBAN_7K3FQ2MZ]**"));
        assert!(answer(&["Refund me please"]).contains("IBAN"));
    }

    #[test]
    fn brackets_that_are_no_token_are_passed_over() {
        let facts = Facts::of(&["[x] [EMAIL_short] [email_7K3FQ2MZ] a[0] [EMAIL_7K3FQ2MZ] ["]);
        assert!(facts.0.iter().map(|(_, v)| v.as_str()).eq(["[EMAIL_7K3FQ2MZ]"]));
    }

    #[test]
    fn pieces_join_to_the_text_and_cut_tokens() {
        let text = "Thank you, **[PERSON_7K3FQ2MZ]**.\n\n- é ünï [EMAIL_0A1B2C3D]";
        let cut = pieces(text);
        assert_eq!(cut.concat(), text);
        assert!(cut.iter().all(|p| !p.contains("7K3FQ2MZ")), "{cut:?}");
    }
}
