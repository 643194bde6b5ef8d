//! Where a request came from: the peer, or whoever a trusted proxy says.

use std::borrow::Cow;
use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

use super::header_value;
use crate::server::Peer;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Addresses read of one chain; more proxies than this no request passes.
const MAX_HOPS: usize = 32;

/// The client, as far as it can be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client {
    /// The nearest address that is no trusted proxy.
    pub(super) address: IpAddr,
    /// The address of the connection.
    pub(super) peer: IpAddr,
    /// Whether the peer is a trusted proxy.
    pub(super) trusted: bool,
}

impl Client {
    pub(super) fn identify(peer: IpAddr, headers: &HeaderMap, proxies: &[IpNet]) -> Self {
        let peer = peer.to_canonical();
        let is_proxy = |address: &IpAddr| proxies.iter().any(|net| net.contains(address));
        let trusted = is_proxy(&peer);
        if !trusted {
            return Self {
                address: peer,
                peer,
                trusted,
            };
        }
        // From the nearest hop outwards; what lies behind the first stranger is that stranger's word.
        let mut address = peer;
        for hop in known_hops(headers) {
            address = hop;
            if !is_proxy(&hop) {
                break;
            }
        }
        Self {
            address,
            peer,
            trusted,
        }
    }

    /// Its address as text.
    pub(super) fn text<'a>(&self, peer: &'a Peer) -> Cow<'a, str> {
        if self.address == self.peer {
            Cow::Borrowed(peer.text())
        } else {
            Cow::Owned(self.address.to_string())
        }
    }

    /// `X-Forwarded-For` for the upstream.
    pub(super) fn forwarded_for(&self, headers: &HeaderMap, peer: &Peer) -> HeaderValue {
        let mut chain = self.believed(headers);
        if chain.is_empty() {
            return HeaderValue::from_str(peer.text())
                .unwrap_or_else(|_| HeaderValue::from_static(""));
        }
        chain.push(peer.text().to_owned());
        header_value(chain.join(", "))
    }

    /// The hops before the peer, as far as they are believed.
    fn believed(&self, headers: &HeaderMap) -> Vec<String> {
        if !self.trusted || !headers.contains_key(FORWARDED_FOR) {
            return Vec::new();
        }
        let mut hops: Vec<_> = known_hops(headers).map(|hop| hop.to_string()).collect();
        hops.reverse();
        hops
    }

    /// `X-Forwarded-Proto` for the upstream.
    pub(super) fn proto(&self, headers: &HeaderMap, tls: bool) -> HeaderValue {
        let said = headers.get(FORWARDED_PROTO).filter(|_| self.trusted);
        // Of several proxies the first saw the client itself.
        let first = said.and_then(|list| list.as_bytes().split(|byte| *byte == b',').next());
        let is =
            |name: &[u8]| first.is_some_and(|said| said.trim_ascii().eq_ignore_ascii_case(name));
        let secure = is(b"https") || (tls && !is(b"http"));
        HeaderValue::from_static(if secure { "https" } else { "http" })
    }

    /// `X-Forwarded-Host` for the upstream; `host` is what the request itself names.
    pub(super) fn host(&self, headers: &HeaderMap, host: &HeaderValue) -> HeaderValue {
        let said = headers.get(FORWARDED_HOST).filter(|_| self.trusted);
        said.filter(|said| !said.is_empty()).unwrap_or(host).clone()
    }

    /// `Forwarded` (RFC 7239, section 4) for the upstream, made anew: what a client wrote there is nobody's word.
    pub(super) fn forwarded(
        &self,
        headers: &HeaderMap,
        peer: &Peer,
        proto: &HeaderValue,
        host: &HeaderValue,
    ) -> HeaderValue {
        let mut text = String::with_capacity(96);
        for hop in self.believed(headers) {
            push_for(&mut text, &hop);
            text.push_str(", ");
        }
        push_for(&mut text, peer.text());
        if let (Ok(host), Ok(proto)) = (host.to_str(), proto.to_str())
            && !host.contains(['"', '\\'])
        {
            text.push_str(";host=\"");
            text.push_str(host);
            text.push_str("\";proto=");
            text.push_str(proto);
        }
        header_value(text)
    }

    /// What has one bucket in a rate limit: an address, or the /64 that one IPv6 client owns.
    pub(super) fn network(&self) -> u128 {
        match self.address {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits() >> 64 | 1 << 127,
        }
    }
}

/// RFC 7239, section 6: an IPv6 address is quoted and in brackets.
fn push_for(text: &mut String, address: &str) {
    text.push_str("for=");
    let (before, after) = if address.contains(':') {
        ("\"[", "]\"")
    } else {
        ("", "")
    };
    for part in [before, address, after] {
        text.push_str(part);
    }
}

/// The addresses of `X-Forwarded-For`, the nearest first, up to one that cannot be read: whoever wrote what lies
/// behind it is not known.
fn known_hops(headers: &HeaderMap) -> impl Iterator<Item = IpAddr> {
    // Bytes, not text: a byte of the client's must not hide what a trusted proxy has appended to the same line.
    let lines: Vec<&[u8]> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    lines
        .into_iter()
        .rev()
        .flat_map(|line| line.rsplit(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|hop| !hop.is_empty())
        .take(MAX_HOPS)
        .map_while(parse_hop)
}

/// An address, maybe with a port or in brackets, as some proxies write it.
fn parse_hop(hop: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(hop).ok()?;
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.split(']').next())
        .unwrap_or(text);
    let address = bare.parse().ok().or_else(|| {
        text.parse::<std::net::SocketAddr>()
            .ok()
            .map(|socket| socket.ip())
    });
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(chain: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in chain {
            headers.append(FORWARDED_FOR, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn address(peer: &str, chain: &[&str]) -> String {
        let proxies = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        Client::identify(peer.parse().unwrap(), &headers(chain), &proxies)
            .address
            .to_string()
    }

    #[test]
    fn a_stranger_is_believed_nothing() {
        assert_eq!(address("192.0.2.1", &["198.51.100.1"]), "192.0.2.1");
    }

    #[test]
    fn the_nearest_address_that_is_no_trusted_proxy_is_the_client() {
        assert_eq!(address("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(address("10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(
            address("10.0.0.1", &["203.0.113.9, 198.51.100.1, 10.2.2.2"]),
            "198.51.100.1"
        );
        assert_eq!(
            address("10.0.0.1", &["203.0.113.9", "198.51.100.1"]),
            "198.51.100.1"
        );
        assert_eq!(address("10.0.0.1", &["198.51.100.1, unknown"]), "10.0.0.1");
        assert_eq!(address("::1", &["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(
            address("::ffff:10.0.0.1", &["198.51.100.1:80"]),
            "198.51.100.1"
        );
    }

    #[test]
    fn forwarded_headers_are_made_from_what_is_believed() {
        let chain = headers(&["198.51.100.1"]);
        let peer = |text: &str| {
            Peer::new(
                std::net::SocketAddr::new(text.parse().unwrap(), 1),
                true,
                None,
            )
        };
        let stranger = Client::identify("192.0.2.1".parse().unwrap(), &chain, &[]);
        assert_eq!(
            stranger.forwarded_for(&chain, &peer("192.0.2.1")),
            "192.0.2.1"
        );
        let near = peer("2001:db8::1");
        let proxies = ["2001:db8::/32".parse().unwrap()];
        let proxy = Client::identify("2001:db8::1".parse().unwrap(), &chain, &proxies);
        assert_eq!(
            proxy.forwarded_for(&chain, &near),
            "198.51.100.1, 2001:db8::1"
        );
        let (proto, host) = (
            HeaderValue::from_static("https"),
            HeaderValue::from_static("a:1"),
        );
        let expected = r#"for=198.51.100.1, for="[2001:db8::1]";host="a:1";proto=https"#;
        assert_eq!(proxy.forwarded(&chain, &near, &proto, &host), expected);
    }

    #[test]
    fn ipv6_clients_share_the_bucket_of_their_64() {
        let network =
            |text: &str| Client::identify(text.parse().unwrap(), &HeaderMap::new(), &[]).network();
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
        assert_ne!(network("0.0.0.1"), network("0.0.0.2"));
    }

    #[test]
    fn bytes_that_are_no_text_hide_no_hop_that_comes_after_them() {
        let mut headers = HeaderMap::new();
        headers.append(FORWARDED_FOR, HeaderValue::from_static("198.51.100.1"));
        headers.append(
            FORWARDED_FOR,
            HeaderValue::from_bytes(b"\xe9, 203.0.113.7").unwrap(),
        );
        let client = Client::identify(
            "10.0.0.1".parse().unwrap(),
            &headers,
            &["10.0.0.0/8".parse().unwrap()],
        );
        assert_eq!(client.address.to_string(), "203.0.113.7");
    }

    #[test]
    fn what_lies_behind_a_hop_that_is_no_address_is_not_passed_on() {
        let proxies = ["10.0.0.0/8".parse().unwrap()];
        let peer = Peer::new("10.0.0.1:1".parse().unwrap(), true, None);
        for chain in [
            "198.51.100.1, unknown, 10.2.2.2",
            "198.51.100.1,, unknown , 10.2.2.2",
        ] {
            let chain = headers(&[chain]);
            let client = Client::identify("10.0.0.1".parse().unwrap(), &chain, &proxies);
            assert_eq!(client.address.to_string(), "10.2.2.2");
            assert_eq!(client.forwarded_for(&chain, &peer), "10.2.2.2, 10.0.0.1");
        }
    }
}
