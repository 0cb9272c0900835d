//! Replies in other charsets, in markup and with addresses: each value as its
//! place demands.

use super::*;
use serde_json::json;

/// A name that not every charset has.
const NAME: &str = "Jos\u{e9} \u{5c71} <o'x]]>\u{1f600}";

async fn token(desk: &Desk, value: &str) -> String {
    desk.subject.tokenize(&[("PERSON".parse().unwrap(), value)]).await.unwrap()[0].to_string()
}

async fn in_charset(desk: &Desk, content_type: &str) -> (Shape, Context) {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
    let (charset, declares) = (charset(&headers), declares(&headers));
    let context = Context { charset, declares, ..desk.context(protocol("json")).await };
    (Shape::of_reply(&headers, None), context)
}

/// The bytes that come back, for every cut the same.
async fn bytes(shape: Shape, reply: &[u8], context: &Context) -> Vec<u8> {
    let restored = async |chunks: &[&[u8]]| {
        let (mut restorer, mut out) = (Restorer::new(shape, 1 << 20, context), BytesMut::new());
        for chunk in chunks {
            restorer.push(Bytes::copy_from_slice(chunk), 1 << 20, context, &mut out).await.unwrap();
        }
        restorer.finish(context, &mut out).await;
        out.to_vec()
    };
    let want = restored(&[reply]).await;
    for cut in 0..reply.len() {
        let (head, tail) = reply.split_at(cut);
        assert_eq!(restored(&[head, tail]).await, want, "cut at {cut}");
    }
    assert_eq!(restored(&reply.chunks(1).collect::<Vec<_>>()).await, want, "byte by byte");
    want
}

#[tokio::test]
async fn a_page_may_say_its_charset_itself() {
    let desk = Desk::new().await;
    let jose = token(&desk, "Jos\u{e9}").await;
    for (content_type, head, is_latin) in [
        ("text/html", "<meta charset=iso-8859-1>", true),
        ("text/html", "<META content='text/html; charset=latin1'>", true),
        ("application/xml", "<?xml version='1.0' encoding='iso-8859-1'?>", true),
        ("text/html", "<meta charset=utf-8>", false),
        ("text/html", "<p>", false),
        // What the headers say outweighs it.
        ("text/html; charset=utf-8", "<meta charset=iso-8859-1>", false),
        // Nobody looks for it there.
        ("text/plain", "<meta charset=iso-8859-1>", false),
    ] {
        let (shape, context) = in_charset(&desk, content_type).await;
        let value: &[u8] = if is_latin { b"Jos\xe9" } else { b"Jos\xc3\xa9" };
        let said = [head.as_bytes(), b"<p>\xe0 to ", jose.as_bytes(), b" \xe9</p>"].concat();
        let want = [head.as_bytes(), b"<p>\xe0 to ", value, b" \xe9</p>"].concat();
        assert_eq!(bytes(shape, &said, &context).await, want, "{content_type} {head}");
        // Not beyond where readers look.
        let late = [&b" ".repeat(1024), said.as_slice()].concat();
        let is_early = bytes(shape, &late, &context).await.ends_with(b"Jos\xe9 \xe9</p>");
        assert!(!is_early, "{content_type} {head}");
    }
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[tokio::test]
async fn a_text_is_restored_in_its_charset() {
    let desk = Desk::new().await;
    let (jose, name) = (token(&desk, "Jos\u{e9}").await, token(&desk, NAME).await);
    let (shape, context) = in_charset(&desk, "text/plain; charset=iso-8859-1").await;
    let said = [b"\xe0 ", jose.as_bytes(), b" \xe9! [EM"].concat();
    assert_eq!(bytes(shape, &said, &context).await, b"\xe0 Jos\xe9 \xe9! [EM");
    // What cannot be said there stays a token, but for markup.
    let said = format!("{name}.");
    assert_eq!(bytes(shape, said.as_bytes(), &context).await, said.as_bytes());
    let (shape, context) = in_charset(&desk, "text/html; charset=iso-8859-1").await;
    assert_eq!(bytes(shape, said.as_bytes(), &context).await, b"Jos\xe9 &#23665; &lt;o&#39;x]]&gt;&#128512;.");
    for mark in ["", "\u{feff}"] {
        let charset = if mark.is_empty() { "utf-16le" } else { "utf-16" };
        let (shape, context) = in_charset(&desk, &format!("text/plain; charset={charset}")).await;
        let said = utf16(&format!("{mark}é {name}, {jose}"));
        assert_eq!(bytes(shape, &said, &context).await, utf16(&format!("{mark}é {NAME}, José")));
    }
    // A byte order mark tells what the type does not.
    let (shape, context) = in_charset(&desk, "text/plain").await;
    let said = utf16(&format!("\u{feff}{jose}"));
    assert_eq!(bytes(shape, &said, &context).await, utf16("\u{feff}José"));
    let (shape, context) = in_charset(&desk, "text/plain; charset=shift_jis").await;
    let said = [b"\x8eR\x93c ", desk.email.as_bytes(), b"\x81"].concat();
    assert_eq!(bytes(shape, &said, &context).await, [b"\x8eR\x93c ", EMAIL.as_bytes(), b"\x81"].concat());
    // Of a charset that nobody knows ASCII is restored alone.
    let (shape, context) = in_charset(&desk, "text/plain; charset=iso-2022-jp").await;
    let said = format!("\x1b$B;3EJ\x1b(B {} {jose}", desk.email);
    assert_eq!(bytes(shape, said.as_bytes(), &context).await, said.replace(&desk.email, EMAIL).as_bytes());
}

#[tokio::test]
async fn a_document_is_restored_in_its_charset() {
    let desk = Desk::new().await;
    let name = token(&desk, NAME).await;
    let document = format!("{{\"é\": \"{name}\"}}");
    let (shape, context) = in_charset(&desk, "application/json; charset=utf-16").await;
    let said = utf16(&format!("\u{feff}{document}"));
    let want = format!("\u{feff}{{\"é\": {}}}", json!(NAME));
    assert_eq!(super::super::whole(said.into(), shape, &context).await, utf16(&want));
    assert!(!shape.streams_in(context.charset) && Shape::JsonLines.streams_in(Some(Charset::Utf8)));
    for content_type in ["application/json; charset=iso-8859-1", "application/x-ndjson; charset=latin1"] {
        let (shape, context) = in_charset(&desk, content_type).await;
        let said = Charset::named("latin1").unwrap().encode(&document).unwrap();
        let reply = super::super::whole(said.into(), shape, &context).await;
        let want = b"{\"\xe9\": \"Jos\xe9 \\u5c71 <o'x]]>\\ud83d\\ude00\"}";
        assert_eq!(reply, want.as_slice());
    }
}

#[tokio::test]
async fn a_section_of_xml_stays_one() {
    let desk = Desk::new().await;
    let name = token(&desk, NAME).await;
    let (shape, context) = in_charset(&desk, "application/xml").await;
    let bare = name.trim_matches(['[', ']']);
    for (said, want) in [
        (format!("<a>{name}</a>"), "<a>José 山 &lt;o&#39;x]]&gt;😀</a>"),
        (format!("<a><![CDATA[so {name}]]></a>"), "<a><![CDATA[so José 山 <o'x]]]]><![CDATA[>😀]]></a>"),
        (
            format!("<a><![CDATA[{name}]]>{name}</a>"),
            "<a><![CDATA[José 山 <o'x]]]]><![CDATA[>😀]]>José 山 &lt;o&#39;x]]&gt;😀</a>",
        ),
        // Of which the brackets were lost.
        (format!("<![CDATA[{bare}]]>{name}"), "<![CDATA[José 山 <o'x]]]]><![CDATA[>😀]]>José 山 &lt;o&#39;x]]&gt;😀"),
        (format!("<![CDATA[{bare} so]]>"), "<![CDATA[José 山 <o'x]]]]><![CDATA[>😀 so]]>"),
        (format!("<!-- <![CDATA[ -->{name}"), "<!-- <![CDATA[ -->José 山 &lt;o&#39;x]]&gt;😀"),
    ] {
        assert_eq!(String::from_utf8(bytes(shape, said.as_bytes(), &context).await).unwrap(), want);
    }
}

#[tokio::test]
async fn in_an_address_a_value_is_encoded_like_its_token() {
    let desk = Desk::new().await;
    let context = desk.context(protocol("openai-chat")).await;
    let encoded = desk.nasty.replace('[', "%5B").replace(']', "%5D");
    let twice = encoded.replace('%', "%25");
    let said = format!("see https://example.org/?q={encoded}&u={twice}&m=a, {}", desk.email);
    let want = "see https://example.org/?q=O%22Neil%20%5C%20%0A%F0%9F%98%80\
        &u=O%2522Neil%2520%255C%2520%250A%25F0%259F%2598%2580&m=a, ana.lopez@example.com";
    let document = json!({"choices": [{"message": {"content": said}}]}).to_string();
    let reply: Value = serde_json::from_slice(&document::restore(document.into(), &context).await).unwrap();
    assert_eq!(reply["choices"][0]["message"]["content"], want);
    every_cut_gives(want, Shape::Text(Escape::None), &said, &context).await;
    // Places behind it have moved by as much.
    let text = format!("{encoded} see");
    let from = text.chars().count() - 3;
    let citation = json!({"url_citation": {"start_index": from, "end_index": from + 3}});
    let document = json!({"choices": [{"message": {"content": text, "annotations": [citation]}}]}).to_string();
    let reply: Value = serde_json::from_slice(&document::restore(document.into(), &context).await).unwrap();
    let message = &reply["choices"][0]["message"];
    let text = message["content"].as_str().unwrap();
    let place = message["annotations"][0]["url_citation"]["start_index"].as_u64().unwrap() as usize;
    assert_eq!(text.chars().skip(place).collect::<String>(), "see");
}
