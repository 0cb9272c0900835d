//! By which name the admin listener may be asked from its own machine.
//!
//! A website can let a name of its own point to 127.0.0.1 (DNS rebinding), and
//! a browser on this machine then takes the admin listener for that website.
//! It still sends the website's name, by which it is told apart. From elsewhere
//! the listener is reached by whatever names the network has, so there all hold.

use std::net::IpAddr;

use axum::http::{header, request};

use super::login::From;

/// Whether a request may have been meant for this listener. `names` are those
/// that the configuration lists.
pub(super) fn is_meant(head: &request::Parts, names: &[String]) -> bool {
    let is_local = |from: &From| from.0.to_canonical().is_loopback();
    if !head.extensions.get::<From>().is_some_and(is_local) {
        return true;
    }
    let given = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let Some(authority) = head.uri.authority().map(http::uri::Authority::as_str).or(given) else { return false };
    let host = without_port(authority);
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let ends = |name: &str| host.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case(name));
    bare.parse::<IpAddr>().is_ok() || ends("localhost") || names.iter().any(|name| name.eq_ignore_ascii_case(host))
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    #[test]
    fn a_website_that_points_here_is_told_apart() {
        let names = ["Admin.example".to_owned()];
        let meant = |from: &str, host: &str| {
            let request = Request::builder().header("host", host).extension(From(from.parse().unwrap()));
            is_meant(&request.body(()).unwrap().into_parts().0, &names)
        };
        for good in
            ["127.0.0.1:9464", "127.0.0.1", "[::1]:9464", "[::1]", "localhost:1", "a.LOCALHOST", "admin.example:1"]
        {
            assert!(meant("127.0.0.1", good), "{good}");
        }
        for bad in ["evil.example", "evil.example:9464", "127.0.0.1.evil.example", "localhost.evil.example", "", "x:y"]
        {
            assert!(!meant("127.0.0.1", bad) && !meant("::ffff:127.0.0.1", bad), "{bad}");
            assert!(meant("10.0.0.7", bad), "{bad}: no browser of this machine");
        }
        let none = Request::builder().extension(From(IpAddr::from([127, 0, 0, 1]))).body(()).unwrap();
        assert!(!is_meant(&none.into_parts().0, &names));
    }
}
