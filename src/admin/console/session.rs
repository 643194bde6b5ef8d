//! Who may act: whoever knows `admin.token`, by a form and then a session, or by a header.
//!
//! Sessions live in memory, bounded; a restart ends them all. A cookie is looked up by its digest, so the time that
//! takes tells nothing of it.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

use crate::types::Secret;

/// How long a session lasts: a working day.
pub(super) const LIFE: Duration = Duration::from_secs(8 * 60 * 60);
/// Sessions at once; one more ends the oldest.
const MAX_SESSIONS: usize = 64;
/// Wrong tokens from one address within [`WINDOW`] after which none of it is looked at, right or wrong.
const MAX_FAILURES: usize = 10;
/// Addresses whose wrong tokens are counted; of more, the one that has been quiet longest is forgotten.
const MAX_ADDRESSES: usize = 1024;
/// Over what time wrong tokens are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// Bytes of what nobody is to guess.
const RANDOM: usize = 32;

/// Whether somebody knows the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Knows {
    Yes,
    No,
    /// Too many were wrong lately; how long until one is looked at again.
    TooMany(Duration),
}

/// Who may act.
pub(super) struct Sessions {
    token: Option<Secret>,
    random: SystemRandom,
    open: Mutex<HashMap<[u8; 32], Session>>,
    failures: Mutex<HashMap<IpAddr, VecDeque<Instant>>>,
}

#[derive(Clone)]
struct Session {
    /// What a form of this session has to hold.
    csrf: String,
    opened: Instant,
}

impl Sessions {
    pub(super) fn new(token: Option<Secret>) -> Self {
        Self {
            token,
            random: SystemRandom::new(),
            open: Mutex::default(),
            failures: Mutex::default(),
        }
    }

    /// Whether anybody may act at all.
    pub(super) fn is_possible(&self) -> bool {
        self.token.is_some()
    }

    /// Whether `unverified_token`, which came from this address, is the token. A wrong one counts against the address
    /// alone: whoever guesses must not keep the operator out.
    pub(super) fn knows(&self, unverified_token: &str, from: IpAddr, now: Instant) -> Knows {
        let mut all = locked(&self.failures);
        let from = network(from);
        if let Some(failures) = all.get_mut(&from) {
            failures.retain(|at| now.duration_since(*at) < WINDOW);
            if let (Some(first), MAX_FAILURES..) = (failures.front(), failures.len()) {
                return Knows::TooMany(WINDOW.saturating_sub(now.duration_since(*first)));
            }
        }
        let same = |token: &Secret| same(token.expose(), unverified_token);
        if self.token.as_ref().is_some_and(same) {
            return Knows::Yes;
        }
        if all.len() >= MAX_ADDRESSES && !all.contains_key(&from) {
            let quiet = all.iter().min_by_key(|(_, failures)| failures.back());
            if let Some(quiet) = quiet.map(|(address, _)| *address) {
                all.remove(&quiet);
            }
        }
        all.entry(from).or_default().push_back(now);
        Knows::No
    }

    /// Opens a session and gives its cookie; `None` when the system has no randomness to give.
    pub(super) fn open(&self, now: Instant) -> Option<String> {
        let (cookie, csrf) = (self.random_text()?, self.random_text()?);
        let mut open = locked(&self.open);
        open.retain(|_, session| now.duration_since(session.opened) < LIFE);
        if open.len() >= MAX_SESSIONS {
            let oldest = open.iter().min_by_key(|(_, session)| session.opened);
            if let Some(key) = oldest.map(|(key, _)| *key) {
                open.remove(&key);
            }
        }
        open.insert(key(&cookie), Session { csrf, opened: now });
        Some(cookie)
    }

    /// What forms of the session with this cookie have to hold.
    pub(super) fn csrf(&self, unverified_cookie: &str, now: Instant) -> Option<String> {
        let open = locked(&self.open);
        let session = open.get(&key(unverified_cookie))?;
        let is_fresh = now.duration_since(session.opened) < LIFE;
        is_fresh.then(|| session.csrf.clone())
    }

    /// Ends the session with this cookie.
    pub(super) fn close(&self, unverified_cookie: &str) {
        locked(&self.open).remove(&key(unverified_cookie));
    }

    fn random_text(&self) -> Option<String> {
        let mut bytes = [0; RANDOM];
        self.random.fill(&mut bytes).ok()?;
        Some(URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// Compares in a time that does not depend on where they differ; digests, so that neither does it on their lengths.
pub(super) fn same(secret: &str, unverified: &str) -> bool {
    key(secret).ct_eq(&key(unverified)).into()
}

fn key(cookie: &str) -> [u8; 32] {
    let mut key = [0; 32];
    key.copy_from_slice(digest(&SHA256, cookie.as_bytes()).as_ref());
    key
}

/// What one customer of a provider is given: an IPv4 address, or the first half of an IPv6 address (RFC 6177).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// What a panic elsewhere left is whole: each change is one step.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions() -> Sessions {
        Sessions::new(Some(Secret::new("a-token-of-the-operator".to_owned())))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_the_token_is_the_token_and_without_one_nothing_is() {
        let (now, from) = (Instant::now(), address("192.0.2.1"));
        let knows = |token| sessions().knows(token, from, now);
        assert_eq!(knows("a-token-of-the-operator"), Knows::Yes);
        for wrong in [
            "",
            "a-token-of-the-operato",
            "a-token-of-the-operator ",
            "x",
        ] {
            assert_eq!(knows(wrong), Knows::No, "{wrong:?}");
        }
        assert_eq!(Sessions::new(None).knows("", from, now), Knows::No);
        assert!(!Sessions::new(None).is_possible());
    }

    #[test]
    fn after_ten_wrong_tokens_none_of_the_address_is_looked_at_for_the_rest_of_a_minute() {
        let (sessions, start) = (sessions(), Instant::now());
        let knows = |token, seconds| {
            let now = start + Duration::from_secs(seconds);
            sessions.knows(token, address("192.0.2.1"), now)
        };
        for second in 0..10 {
            assert_eq!(knows("guess", second), Knows::No);
        }
        let wait = Knows::TooMany(Duration::from_secs(50));
        assert_eq!(knows("a-token-of-the-operator", 10), wait);
        assert_eq!(knows("a-token-of-the-operator", 60), Knows::Yes);
        assert_eq!(knows("guess", 60), Knows::No);
        assert!(matches!(knows("guess", 60), Knows::TooMany(_)));
    }

    #[test]
    fn who_guesses_keeps_nobody_else_out() {
        let (sessions, now) = (sessions(), Instant::now());
        let knows = |token, from| sessions.knows(token, address(from), now);
        for _ in 0..10 {
            assert_eq!(knows("guess", "192.0.2.1"), Knows::No);
            assert_eq!(knows("guess", "2001:db8::1"), Knows::No);
        }
        for (from, is_kept_out) in [
            ("192.0.2.1", true),
            ("::ffff:192.0.2.1", true),
            ("2001:db8::2", true),
            ("192.0.2.2", false),
            ("2001:db8:0:1::1", false),
        ] {
            let told = knows("a-token-of-the-operator", from);
            assert_eq!(matches!(told, Knows::TooMany(_)), is_kept_out, "{from}");
        }
    }

    #[test]
    fn addresses_that_guess_are_bounded_and_the_quietest_is_forgotten_first() {
        let (sessions, start) = (sessions(), Instant::now());
        let guess = |number: usize| {
            let from = u32::try_from(number).unwrap();
            let now = start + Duration::from_millis(number as u64);
            sessions.knows("guess", IpAddr::V4(from.into()), now)
        };
        for number in 0..=MAX_ADDRESSES {
            assert_eq!(guess(number), Knows::No);
        }
        let known = locked(&sessions.failures);
        let is_known = |number: u32| known.contains_key(&IpAddr::V4(number.into()));
        assert_eq!(known.len(), MAX_ADDRESSES);
        assert!(!is_known(0) && is_known(1));
    }

    #[test]
    fn a_session_lasts_eight_hours_or_until_it_is_closed() {
        let (sessions, start) = (sessions(), Instant::now());
        let open = || sessions.open(start).unwrap();
        let (first, second) = (open(), open());
        assert_ne!(first, second);
        assert_ne!(sessions.csrf(&first, start), sessions.csrf(&second, start));
        let later = start + LIFE.checked_sub(Duration::from_secs(1)).unwrap();
        assert!(sessions.csrf(&first, later).is_some());
        assert!(sessions.csrf(&first, start + LIFE).is_none());
        sessions.close(&second);
        assert!(sessions.csrf(&second, start).is_none());
        assert!(sessions.csrf("made-up", start).is_none());
    }

    #[test]
    fn sessions_are_bounded_and_the_oldest_goes_first() {
        let (sessions, start) = (sessions(), Instant::now());
        let open = |second: usize| {
            let now = start + Duration::from_secs(second as u64);
            sessions.open(now).unwrap()
        };
        let cookies: Vec<String> = (0..=MAX_SESSIONS).map(open).collect();
        let later = start + Duration::from_secs(100);
        let open: Vec<bool> = cookies
            .iter()
            .map(|cookie| sessions.csrf(cookie, later).is_some())
            .collect();
        assert!(!open[0] && open[1..].iter().all(|open| *open), "{open:?}");
    }
}
