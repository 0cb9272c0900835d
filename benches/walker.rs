//! The JSON walker, escapes, and the event splitter.

use std::fmt::Write as _;
use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use privet::framing::Sse;
use privet::json::{OffsetMap, Path, Str, Visitor, escape, unescape, walk};

/// A chat request of about so many bytes.
fn request(len: usize) -> String {
    let mut json = r#"{"model": "gpt-4o", "stream": true, "temperature": 0.7, "messages": ["#.to_owned();
    json += r#"{"role": "system", "content": "You are the assistant of a shop."}"#;
    while json.len() < len {
        json += r#", {"role": "user", "content": "Hello, my parcel has not come yet.\nMy name is \"Jana\", and the order is from last week; could you see where it is and write to me?"}"#;
    }
    json + "]}"
}

/// Counts the bytes of all strings.
struct Strings(usize);

impl<'a> Visitor<'a> for Strings {
    fn string(&mut self, path: &Path<'a>, value: Str<'a>) {
        self.0 += value.raw.len() + path.depth();
    }
}

fn walker(c: &mut Criterion) {
    let mut group = c.benchmark_group("walk");
    let picture = format!(r#"{{"image_url": "data:image/png;base64,{}"}}"#, "iVBORw0KGgo".repeat(100_000));
    let event = r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1767225600,"model":"gpt-4o","system_fingerprint":null,"choices":[{"index":0,"delta":{"content":" parcel"},"logprobs":null,"finish_reason":null}]}"#;
    for (name, json) in [
        ("event of 200 bytes", event.to_owned()),
        ("request of 4 KiB", request(4096)),
        ("request of 64 KiB", request(65_536)),
        ("picture of 1 MiB", picture),
    ] {
        group.throughput(Throughput::Bytes(json.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut strings = Strings(0);
                walk(black_box(&json), &mut strings).map(|()| strings.0)
            });
        });
    }
    group.finish();
}

fn strings(c: &mut Criterion) {
    let mut group = c.benchmark_group("string");
    let text = "Hello, my parcel has not come yet.\nMy name is \"Jana\".\n".repeat(75);
    let mut raw = Vec::new();
    escape(&text, &mut raw);
    let raw = String::from_utf8(raw).unwrap_or_default();
    group.throughput(Throughput::Bytes(raw.len() as u64));
    group.bench_function("escape 4 KiB", |b| {
        let mut out = Vec::new();
        b.iter(|| {
            out.clear();
            escape(black_box(&text), &mut out);
            out.len()
        });
    });
    group.bench_function("unescape 4 KiB", |b| {
        let (mut out, mut map) = (String::new(), OffsetMap::new());
        b.iter(|| {
            unescape(black_box(&raw), &mut out, &mut map);
            out.len()
        });
    });
    group.finish();
}

fn events(c: &mut Criterion) {
    let mut group = c.benchmark_group("sse");
    let mut stream = String::new();
    for n in 0..100 {
        let _ =
            write!(stream, "data: {{\"id\":\"chatcmpl-1\",\"choices\":[{{\"delta\":{{\"content\":\" {n}\"}}}}]}}\n\n");
    }
    let whole = Bytes::from(stream);
    group.throughput(Throughput::Elements(100));
    for (name, size) in [("100 events in one chunk", whole.len()), ("100 events in chunks of 50 bytes", 50)] {
        let chunks: Vec<_> = whole.chunks(size).map(|chunk| whole.slice_ref(chunk)).collect();
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut sse = Sse::new(1 << 20);
                let mut spans = 0;
                for chunk in &chunks {
                    sse.push(chunk.clone());
                    spans += sse.by_ref().flatten().map(|event| event.data.len()).sum::<usize>();
                }
                spans
            });
        });
    }
    group.finish();
}

criterion_group!(benches, walker, strings, events);
criterion_main!(benches);
