//! The drain.

use super::*;

#[tokio::test]
async fn a_drain_closes_idle_connections_and_the_port() {
    // A header that has begun is waited for as ever.
    let rig = Rig::start(Limits { header_read: hasty().header_read, ..limits() }).await;
    let mut kept = rig.connect().await;
    talk(&mut kept, GET, "/a").await;
    let mut fresh = rig.connect().await;
    let mut begun = rig.connect().await;
    begun.write_all(b"GET /").await.unwrap();
    time::sleep(Duration::from_millis(50)).await;
    let address = rig.address;
    rig.shutdown.trigger();
    assert!(is_closed(&mut kept).await);
    assert!(is_closed(&mut fresh).await);
    assert!(is_closed(&mut begun).await);
    assert_eq!(rig.drained().await, Drained { cut: 0 });
    TcpStream::connect(address).await.unwrap_err();
}

#[tokio::test]
async fn a_drain_lets_a_running_reply_end_and_takes_no_connection() {
    let rig = Rig::start(limits()).await;
    let mut io = rig.connect().await;
    talk(&mut io, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n\r\n").await;
    rig.send("before").await;
    read_until(&mut io, "before\r\n").await;
    rig.shutdown.trigger();
    time::sleep(Duration::from_millis(100)).await;
    TcpStream::connect(rig.address).await.unwrap_err();
    rig.send("after").await;
    rig.end_stream();
    assert!(read_until(&mut io, "0\r\n\r\n").await.contains("after"));
    assert!(is_closed(&mut io).await);
    assert_eq!(rig.drained().await, Drained { cut: 0 });
}

#[tokio::test]
async fn a_drain_lets_a_running_http2_reply_end_and_takes_no_request() {
    let rig = Rig::start(limits()).await;
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(rig.connect().await)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = || Request::get("http://x/stream").body(Empty::<Bytes>::new()).unwrap();
    let mut reply = client.send_request(request()).await.unwrap();
    rig.shutdown.trigger();
    time::sleep(Duration::from_millis(100)).await;
    assert!(client.send_request(request()).await.is_err());
    rig.send("after").await;
    rig.end_stream();
    assert_eq!(reply.body_mut().collect().await.unwrap().to_bytes(), "after");
    connection.await.unwrap().unwrap();
    assert_eq!(rig.drained().await, Drained { cut: 0 });
}

#[tokio::test]
async fn what_is_over_the_grace_is_cut() {
    let rig = Rig::start(hasty()).await;
    let mut io = rig.connect().await;
    talk(&mut io, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n\r\n").await;
    let mut other = rig.connect().await;
    talk(&mut other, GET, "/a").await;
    let begun = Instant::now();
    rig.shutdown.trigger();
    assert!(is_closed(&mut io).await);
    assert!(begun.elapsed() >= Duration::from_millis(450), "{:?}", begun.elapsed());
    assert!(is_closed(&mut other).await);
    assert_eq!(rig.drained().await, Drained { cut: 1 });
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let rig = Rig::start(limits()).await;
    let mut io = rig.connect().await;
    talk(&mut io, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n\r\n").await;
    rig.shutdown.trigger();
    time::sleep(Duration::from_millis(50)).await;
    rig.shutdown.end();
    assert_eq!(rig.drained().await, Drained { cut: 1 });
}
