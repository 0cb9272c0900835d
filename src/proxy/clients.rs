//! How many requests one client may send: a bucket for each address, which
//! fills evenly over a minute (the generic cell rate algorithm, ITU-T I.371).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_mins(1);

/// How many addresses are known at a time, at most.
const ROOM: usize = 64 * 1024;

/// The requests of each client of late.
pub(super) struct Clients {
    /// Requests a minute; none sets no limit.
    limit: Option<NonZeroU32>,
    buckets: Mutex<Buckets>,
}

/// When the bucket of a client is full again. Two generations: where the young
/// one is full, the old one is forgotten, so that a crowd of strangers neither
/// gives a client its requests anew nor makes others wait for a walk through all.
#[derive(Default)]
struct Buckets {
    young: HashMap<IpAddr, Instant>,
    old: HashMap<IpAddr, Instant>,
}

impl Clients {
    /// So many requests a minute; with 0 as many as they like.
    pub(super) fn new(per_minute: u32) -> Self {
        Self { limit: NonZeroU32::new(per_minute), buckets: Mutex::default() }
    }

    /// Takes a request; where it is one too many, how long the client has to
    /// wait before the next.
    pub(super) fn take(&self, client: IpAddr, now: Instant) -> Result<(), Duration> {
        let Some(limit) = self.limit else { return Ok(()) };
        let each = MINUTE / limit.get();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let at = buckets.of(network(client), now);
        let taken = (*at).max(now) + each;
        if let Some(wait) = taken.checked_duration_since(now + MINUTE).filter(|wait| !wait.is_zero()) {
            return Err(wait);
        }
        *at = taken;
        Ok(())
    }
}

impl Buckets {
    /// That of a client, which is full where it was not asked for of late.
    fn of(&mut self, client: IpAddr, now: Instant) -> &mut Instant {
        if self.young.len() >= ROOM / 2 && !self.young.contains_key(&client) {
            self.old = std::mem::take(&mut self.young);
        }
        let old = self.old.get(&client).copied();
        self.young.entry(client).or_insert(old.unwrap_or(now))
    }
}

/// By what a client is known: whoever has an IPv6 address has 2^64 of them.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits((address.to_bits() >> 64) << 64)),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_has_its_requests_of_a_minute_and_then_as_they_come_back() {
        let (clients, now) = (Clients::new(60), Instant::now());
        let taken = |client: &str, now| clients.take(ip(client), now);
        assert!((0..60).all(|_| taken("192.0.2.1", now).is_ok()));
        assert_eq!(taken("192.0.2.1", now), Err(Duration::from_secs(1)));
        assert_eq!(taken("192.0.2.2", now), Ok(()), "another client");
        let later = now + Duration::from_secs(2);
        assert_eq!([(); 3].map(|()| taken("::ffff:192.0.2.1", later).is_ok()), [true, true, false]);
        assert!((0..60).all(|n| taken(&format!("2001:db8::{n}"), now).is_ok()));
        assert!(taken("2001:db8::ffff", now).is_err(), "the same network");
        assert!(taken("2001:db8:0:1::1", now).is_ok());
    }

    #[test]
    fn no_limit_is_set_by_default_and_what_is_known_is_bounded() {
        let (none, now) = (Clients::new(0), Instant::now());
        assert!((0..10_000).all(|_| none.take(ip("192.0.2.1"), now).is_ok()));
        assert!(none.buckets.lock().unwrap().young.is_empty());
        let one = Clients::new(1);
        for n in 0..2 * ROOM as u32 {
            assert!(one.take(IpAddr::V4(n.into()), now).is_ok());
        }
        let buckets = one.buckets.lock().unwrap();
        assert!(buckets.young.len() + buckets.old.len() <= ROOM);
    }

    #[test]
    fn no_crowd_of_strangers_gives_a_client_its_requests_anew() {
        let (clients, now) = (Clients::new(1), Instant::now());
        assert!(clients.take(ip("2001:db8::1"), now).is_ok());
        for n in 0..3 * ROOM as u32 {
            assert!(clients.take(IpAddr::V4(n.into()), now).is_ok());
            if n % 10_000 == 0 {
                assert!(clients.take(ip("2001:db8::1"), now).is_err(), "after {n} others");
            }
        }
    }
}
