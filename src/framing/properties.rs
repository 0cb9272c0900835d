//! What must hold of the splitters for every input. The property tests and the
//! fuzz targets share it.

use bytes::Bytes;

use super::multipart::split;
use super::{Event, Lines, Sse, TooLong};

/// Cuts `bytes` at each of `cuts`.
pub fn cut<'b>(bytes: &'b [u8], cuts: &[usize]) -> Vec<&'b [u8]> {
    let mut cuts: Vec<_> = cuts.iter().map(|&at| at.min(bytes.len())).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2).filter_map(|pair| bytes.get(pair[0]..pair[1])).collect()
}

/// The events of a stream that comes in these chunks. All raw bytes together
/// are the stream.
pub fn events(chunks: &[&[u8]], max_event: usize) -> Result<Vec<Event>, TooLong> {
    let mut sse = Sse::new(max_event);
    let mut events = Vec::new();
    for chunk in chunks {
        sse.push(Bytes::copy_from_slice(chunk));
        for event in sse.by_ref() {
            events.push(event?);
        }
    }
    events.extend(sse.finish());
    let raw: Vec<u8> = events.iter().flat_map(|event| event.raw.to_vec()).collect();
    assert_eq!(raw, chunks.concat());
    Ok(events)
}

/// The texts of the lines of a stream that comes in these chunks.
pub fn lines(chunks: &[&[u8]], max_line: usize) -> Result<Vec<Vec<u8>>, TooLong> {
    let mut splitter = Lines::new(max_line);
    let mut lines = Vec::new();
    for chunk in chunks {
        splitter.push(Bytes::copy_from_slice(chunk));
        for line in splitter.by_ref() {
            lines.push(line?);
        }
    }
    lines.extend(splitter.finish());
    let raw: Vec<u8> = lines.iter().flat_map(|line| line.raw.to_vec()).collect();
    assert_eq!(raw, chunks.concat());
    Ok(lines.iter().map(|line| line.raw[line.text.clone()].to_vec()).collect())
}

/// The data of the events is what the slow reader below reads, however the
/// stream is cut.
pub fn sse_agrees_with_reference(chunks: &[&[u8]]) {
    let events = events(chunks, usize::MAX).unwrap_or_default();
    let data = |event: &Event| event.data_lines().map(<[u8]>::to_vec).collect::<Vec<_>>();
    let data: Vec<_> = events.iter().map(data).filter(|lines| !lines.is_empty()).collect();
    assert_eq!(data, reference(&chunks.concat()));
}

/// Reads a whole stream in the way of the standard, step by step. The last
/// event counts although it has no blank line.
fn reference(stream: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let stream = stream.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(stream);
    let mut text: Vec<u8> = Vec::new();
    for (at, &byte) in stream.iter().enumerate() {
        match byte {
            b'\r' => text.push(b'\n'),
            b'\n' if at > 0 && stream[at - 1] == b'\r' => {}
            byte => text.push(byte),
        }
    }
    let mut events = Vec::new();
    let mut data: Vec<Vec<u8>> = Vec::new();
    for line in text.split(|&b| b == b'\n').chain([&b""[..]]) {
        let mut halves = line.splitn(2, |&b| b == b':');
        let field = halves.next().unwrap_or_default();
        let value = halves.next().unwrap_or_default();
        if line.is_empty() {
            if !data.is_empty() {
                events.push(std::mem::take(&mut data));
            }
        } else if field == b"data" {
            data.push(value.strip_prefix(b" ").unwrap_or(value).to_vec());
        }
    }
    events
}

/// Cuts any bytes as a multipart body. What is found stands in the body, in its
/// order and apart from each other, and between the parts are delimiters alone.
pub fn multipart_is_sound(body: &[u8], boundary: &str) {
    let Ok(found) = split(body, boundary) else { return };
    let mut end = found.preamble.end;
    assert_eq!(found.preamble.start, 0);
    for part in &found.parts {
        let between = body.get(end..part.content.start).unwrap_or_default();
        let delimiter = format!("--{boundary}");
        assert!(between.trim_ascii_start().starts_with(delimiter.as_bytes()), "no delimiter before a part");
        for field in &part.fields {
            assert!(end < field.name.start && field.name.end < field.value.start, "a field is out of order");
            assert!(field.value.start <= field.value.end && field.value.end <= part.content.start);
            end = field.value.end;
        }
        assert!(end <= part.content.start && part.content.start <= part.content.end);
        let content = body.get(part.content.clone()).unwrap_or_default();
        let inner = format!("\r\n--{boundary}");
        assert!(memchr::memmem::find(content, inner.as_bytes()).is_none(), "a delimiter is in a part");
        end = part.content.end;
    }
    assert!(end <= found.epilogue.start && found.epilogue.end == body.len());
}
