//! A bad network between the gateway and its database.

use super::*;
use crate::support::Relay;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_may_break_at_any_byte() {
    let (upstream, direct) = (Upstream::echo().await, CLUSTER.database());
    let relay = Relay::to(CLUSTER.primary.port).await;
    let url = direct.replace(&CLUSTER.primary.port.to_string(), &relay.port.to_string());
    let privet = replica(&upstream, &format!("{url}?pool_max_conns=2"));
    let client = Client::new(&privet.gateway);
    let (mut answered, mut refused, mut rounds) = (0, 0, 0);
    for bytes in (0..1400).step_by(9) {
        let (subject, name) = (format!("subject-{}", rounds % 40), format!("n{rounds}"));
        relay.cut_after(bytes);
        let reply = write_to(&client, &subject, &name).await.unwrap();
        if reply.status == 200 {
            answered += 1;
        } else {
            reply.problem(503, "vault-unavailable");
            refused += 1;
            // Perhaps it is in the vault, perhaps not; asked again, it has one token.
            write_to(&client, &subject, &name).await.unwrap();
        }
        rounds += 1;
    }
    let cuts = relay.cuts();
    println!("{rounds} rounds: {cuts} connections were cut, {answered} requests answered, {refused} refused");
    assert!(cuts * 10 > rounds * 8, "only {cuts} of {rounds} connections were cut");
    let mut known = Known::new();
    learn(&mut known, &upstream.recorded());
    hold_to_account(&direct, &known).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_server_is_not_waited_for() {
    let (upstream, direct) = (Upstream::echo().await, CLUSTER.database());
    let relay = Relay::to(CLUSTER.primary.port).await;
    let url = direct.replace(&CLUSTER.primary.port.to_string(), &relay.port.to_string());
    let privet = replica(&upstream, &format!("{url}?statement_timeout=400&connect_timeout=1&pool_max_conns=4"));
    let client = Client::new(&privet.gateway);
    write_to(&client, "ana", "known").await.unwrap().says();

    relay.delay(PATIENCE);
    for n in 0..3 {
        let asked = Instant::now();
        let reply = write_to(&client, "ana", &format!("new{n}")).await.unwrap();
        reply.problem(503, "vault-unavailable");
        assert!(asked.elapsed() < PATIENCE / 2, "it waited for {:?}", asked.elapsed());
    }
    // What is known by heart is not believed while nobody can be asked.
    write_to(&client, "ana", "known").await.unwrap().problem(503, "vault-unavailable");
    assert_eq!(upstream.recorded().len(), 1);
    assert!(relay.delayed() >= 3, "{} answers were held up", relay.delayed());

    relay.delay(Duration::ZERO);
    let recovered = Instant::now();
    while write_to(&client, "ana", "known").await.unwrap().status != 200 {
        assert!(recovered.elapsed() < PATIENCE * 2, "it does not recover");
    }
    assert_eq!(write_to(&client, "ana", "new0").await.unwrap().says(), "write to new0@example.com");
    let mut known = Known::new();
    learn(&mut known, &upstream.recorded());
    hold_to_account(&direct, &known).await;
}
