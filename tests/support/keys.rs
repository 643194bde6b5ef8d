//! RSA keys that sign tokens. Making one is slow, so each process makes a few and keeps them.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// How many different keys there are.
const KEYS: usize = 4;

/// A key of 2048 bits, under a name.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) kid: String,
    pair: Arc<KeyPair>,
}

impl Key {
    /// The `index`th key, named `key-INDEX`.
    pub(crate) fn nth(index: usize) -> Self {
        static PAIRS: [OnceLock<Arc<KeyPair>>; KEYS] = [const { OnceLock::new() }; KEYS];
        let pair = PAIRS[index]
            .get_or_init(|| Arc::new(KeyPair::generate(KeySize::Rsa2048).expect("randomness")));
        Self {
            kid: format!("key-{index}"),
            pair: Arc::clone(pair),
        }
    }

    /// The same key under another name.
    pub(crate) fn named(mut self, kid: &str) -> Self {
        kid.clone_into(&mut self.kid);
        self
    }

    /// Signs as RS256 does.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message,
                &mut signature,
            )
            .expect("a signature");
        signature
    }

    /// The public half as a member of a JSON Web Key Set.
    pub(crate) fn jwk(&self) -> Value {
        let (n, e) = self.public();
        json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid,
                "n": URL_SAFE_NO_PAD.encode(n), "e": URL_SAFE_NO_PAD.encode(e) })
    }

    /// The public half as RFC 8017 writes it, the text that an HMAC forger takes for a secret.
    pub(crate) fn public_der(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// Modulus and exponent: the two integers of `SEQUENCE { INTEGER n, INTEGER e }`.
    fn public(&self) -> (&[u8], &[u8]) {
        let sequence = der_element(self.public_der()).0;
        let (n, rest) = der_element(sequence);
        let (e, _) = der_element(rest);
        (n.strip_prefix(&[0]).unwrap_or(n), e)
    }
}

/// The content of the first DER element of `der`, and what follows it.
fn der_element(der: &[u8]) -> (&[u8], &[u8]) {
    let (length, start) = match der[1] {
        short @ 0..=0x7f => (usize::from(short), 2),
        long => {
            let count = usize::from(long & 0x7f);
            let length = der[2..2 + count]
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            (length, 2 + count)
        }
    };
    der[start..].split_at(length)
}
