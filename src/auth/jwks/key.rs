//! One public key, bound to what it may verify (RFC 7517, section 4; RFC 8725, section 3.1).

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::signature::{self, ParsedPublicKey, RsaPublicKeyComponents, VerificationAlgorithm};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

/// NIST SP 800-131A: shorter RSA keys are not to be trusted any more.
const MIN_RSA_BITS: usize = 2048;
/// A longer modulus only makes verification slow.
const MAX_RSA_BITS: usize = 8192;

/// A key that can verify signatures.
pub(in crate::auth) struct Key {
    /// `kid`.
    pub(in crate::auth) id: String,
    /// The algorithms it may be used with, each with the key ready to be used.
    verifiers: Vec<(Algorithm, ParsedPublicKey)>,
    /// Its public parts, as published.
    material: [String; 2],
}

/// Why a key of the set cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeyError {
    #[error("it is no JSON object")]
    NotAnObject,
    #[error("it has no `kid`")]
    NoId,
    #[error("its type, curve or algorithm is not supported")]
    Unsupported,
    #[error("its `use` is not `sig`, or its `key_ops` lack `verify`")]
    NotForSignatures,
    #[error("its numbers are not base64url")]
    Malformed,
    #[error("an RSA key must have 2048 to 8192 bits")]
    Size,
    #[error("its `alg` does not go with its type")]
    Mismatch,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
            && self.algorithms().eq(other.algorithms())
            && self.material == other.material
    }
}

impl Key {
    pub(super) fn parse(value: &Value) -> Result<Self, KeyError> {
        let members = value.as_object().ok_or(KeyError::NotAnObject)?;
        let id = text(members, "kid")
            .filter(|id| !id.is_empty())
            .ok_or(KeyError::NoId)?
            .to_owned();
        if !is_for_signatures(members) {
            return Err(KeyError::NotForSignatures);
        }
        let Parsed {
            possible,
            public,
            material,
        } = match text(members, "kty") {
            Some("RSA") => rsa(members)?,
            Some("EC") => elliptic(members)?,
            Some("OKP") => edwards(members)?,
            // `oct` would be a shared secret in public: HMAC with it proves nothing.
            Some(_) | None => return Err(KeyError::Unsupported),
        };
        let bound = bound_algorithm(members)?;
        if bound.is_some_and(|alg| possible.iter().all(|(algorithm, _)| *algorithm != alg)) {
            return Err(KeyError::Mismatch);
        }
        let verifiers = possible
            .iter()
            .filter(|(algorithm, _)| bound.is_none_or(|bound| bound == *algorithm))
            .map(|(algorithm, means)| Ok((*algorithm, ParsedPublicKey::new(*means, &public)?)))
            .collect::<Result<_, KeyRejected>>()
            .map_err(|_| KeyError::Malformed)?;
        Ok(Self {
            id,
            verifiers,
            material,
        })
    }

    /// The algorithms that it may be used with.
    pub(super) fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.verifiers.iter().map(|(algorithm, _)| *algorithm)
    }

    /// Whether `signature` is this key's for `message`; `None` when the key may not be used with `algorithm`.
    pub(in crate::auth) fn verify(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Option<bool> {
        let (_, key) = self.verifiers.iter().find(|(a, _)| *a == algorithm)?;
        Some(key.verify_sig(message, signature).is_ok())
    }
}

/// A way to verify a signature.
type Means = &'static dyn VerificationAlgorithm;

/// A key's parts, before it is bound to an algorithm.
struct Parsed {
    possible: &'static [(Algorithm, Means)],
    /// The key in the form that the means take.
    public: Vec<u8>,
    material: [String; 2],
}

static RSA: [(Algorithm, Means); 6] = [
    (Algorithm::RS256, &signature::RSA_PKCS1_2048_8192_SHA256),
    (Algorithm::RS384, &signature::RSA_PKCS1_2048_8192_SHA384),
    (Algorithm::RS512, &signature::RSA_PKCS1_2048_8192_SHA512),
    (Algorithm::PS256, &signature::RSA_PSS_2048_8192_SHA256),
    (Algorithm::PS384, &signature::RSA_PSS_2048_8192_SHA384),
    (Algorithm::PS512, &signature::RSA_PSS_2048_8192_SHA512),
];
static P256: [(Algorithm, Means); 1] = [(Algorithm::ES256, &signature::ECDSA_P256_SHA256_FIXED)];
static P384: [(Algorithm, Means); 1] = [(Algorithm::ES384, &signature::ECDSA_P384_SHA384_FIXED)];
static ED25519: [(Algorithm, Means); 1] = [(Algorithm::EdDSA, &signature::ED25519)];

/// The one algorithm that `alg` binds the key to (RFC 7517, section 4.4).
fn bound_algorithm(members: &Map<String, Value>) -> Result<Option<Algorithm>, KeyError> {
    let parse = |alg: &Value| {
        alg.as_str()
            .and_then(|a| a.parse().ok())
            .ok_or(KeyError::Unsupported)
    };
    members.get("alg").map(parse).transpose()
}

fn rsa(members: &Map<String, Value>) -> Result<Parsed, KeyError> {
    let (n, n_bytes) = number(members, "n")?;
    let (e, e_bytes) = number(members, "e")?;
    let significant = n_bytes
        .iter()
        .position(|b| *b != 0)
        .map_or(&[][..], |start| &n_bytes[start..]);
    let bits = significant.len() * 8
        - significant
            .first()
            .map_or(0, |b| b.leading_zeros() as usize);
    if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
        return Err(KeyError::Size);
    }
    let components = RsaPublicKeyComponents {
        n: significant,
        e: e_bytes.as_slice(),
    };
    let public: PublicKeyX509Der<'_> = components.as_der().map_err(|_| KeyError::Malformed)?;
    Ok(Parsed {
        possible: &RSA,
        public: public.as_ref().to_vec(),
        material: [n.to_owned(), e.to_owned()],
    })
}

fn elliptic(members: &Map<String, Value>) -> Result<Parsed, KeyError> {
    let (possible, length): (&'static [_], _) = match text(members, "crv") {
        Some("P-256") => (&P256, 32),
        Some("P-384") => (&P384, 48),
        Some(_) | None => return Err(KeyError::Unsupported),
    };
    let (x, x_bytes) = number(members, "x")?;
    let (y, y_bytes) = number(members, "y")?;
    if x_bytes.len() != length || y_bytes.len() != length {
        return Err(KeyError::Malformed);
    }
    // SEC 1, section 2.3.3: an uncompressed point.
    let public = [&[4][..], &x_bytes, &y_bytes].concat();
    Ok(Parsed {
        possible,
        public,
        material: [x.to_owned(), y.to_owned()],
    })
}

fn edwards(members: &Map<String, Value>) -> Result<Parsed, KeyError> {
    if text(members, "crv") != Some("Ed25519") {
        return Err(KeyError::Unsupported);
    }
    let (x, public) = number(members, "x")?;
    if public.len() != 32 {
        return Err(KeyError::Malformed);
    }
    Ok(Parsed {
        possible: &ED25519,
        public,
        material: [x.to_owned(), String::new()],
    })
}

/// RFC 7517, sections 4.2 and 4.3.
fn is_for_signatures(members: &Map<String, Value>) -> bool {
    let used = members.get("use").is_none_or(|u| u.as_str() == Some("sig"));
    let verifies = |ops: &Value| {
        ops.as_array()
            .is_some_and(|list| list.iter().any(|op| op.as_str() == Some("verify")))
    };
    used && members.get("key_ops").is_none_or(verifies)
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Value::as_str)
}

fn number<'a>(members: &'a Map<String, Value>, name: &str) -> Result<(&'a str, Vec<u8>), KeyError> {
    let text = text(members, name).ok_or(KeyError::Malformed)?;
    let bytes = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| KeyError::Malformed)?;
    if bytes.is_empty() {
        Err(KeyError::Malformed)
    } else {
        Ok((text, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// An RSA key of `bits` bits; its modulus is no product of primes, which nobody checks here.
    fn rsa_json(bits: usize) -> Value {
        let mut n = vec![0xff; bits / 8];
        n[0] = 0x80;
        json!({"kty": "RSA", "kid": "k", "n": URL_SAFE_NO_PAD.encode(n), "e": "AQAB"})
    }

    fn with(mut value: Value, name: &str, member: Value) -> Value {
        value[name] = member;
        value
    }

    #[test]
    fn rsa_keys_have_2048_bits_or_more() {
        assert!(Key::parse(&rsa_json(2048)).is_ok());
        assert!(Key::parse(&rsa_json(4096)).is_ok());
        for bits in [512, 1024, 2040, 16_384] {
            assert_eq!(
                Key::parse(&rsa_json(bits)).err(),
                Some(KeyError::Size),
                "{bits}"
            );
        }
        let mut short = vec![0xff; 256];
        short[0] = 0x7f;
        let short = with(rsa_json(2048), "n", json!(URL_SAFE_NO_PAD.encode(short)));
        assert_eq!(Key::parse(&short).err(), Some(KeyError::Size));
    }

    #[test]
    fn a_key_is_bound_to_its_type_and_alg() {
        let any = Key::parse(&rsa_json(2048)).unwrap();
        assert_eq!(any.verify(Algorithm::PS256, b"", b""), Some(false));
        assert_eq!(any.verify(Algorithm::HS256, b"", b""), None);
        let one = Key::parse(&with(rsa_json(2048), "alg", json!("RS256"))).unwrap();
        assert_eq!(one.verify(Algorithm::RS256, b"", b""), Some(false));
        assert_eq!(one.verify(Algorithm::RS512, b"", b""), None);
        assert_eq!(
            Key::parse(&with(rsa_json(2048), "alg", json!("ES256"))).err(),
            Some(KeyError::Mismatch)
        );
        assert_eq!(
            Key::parse(&with(rsa_json(2048), "alg", json!("HS256"))).err(),
            Some(KeyError::Mismatch)
        );
        assert_eq!(
            Key::parse(&with(rsa_json(2048), "alg", json!("RSA-OAEP"))).err(),
            Some(KeyError::Unsupported)
        );
        assert_eq!(
            Key::parse(&json!({"kty": "oct", "kid": "k", "k": "AQAB"})).err(),
            Some(KeyError::Unsupported)
        );
    }

    #[test]
    fn a_key_must_be_for_signatures() {
        for (name, member) in [
            ("use", json!("enc")),
            ("use", json!(1)),
            ("key_ops", json!(["sign"])),
            ("key_ops", json!("verify")),
        ] {
            assert_eq!(
                Key::parse(&with(rsa_json(2048), name, member)).err(),
                Some(KeyError::NotForSignatures),
                "{name}"
            );
        }
        assert!(Key::parse(&with(rsa_json(2048), "use", json!("sig"))).is_ok());
        assert!(Key::parse(&with(rsa_json(2048), "key_ops", json!(["verify"]))).is_ok());
    }

    #[test]
    fn a_key_without_an_id_is_skipped() {
        let mut value = rsa_json(2048);
        value.as_object_mut().unwrap().remove("kid");
        assert_eq!(Key::parse(&value).err(), Some(KeyError::NoId));
    }

    #[test]
    fn signatures_of_every_supported_kind_verify() {
        use aws_lc_rs::rand::SystemRandom;
        use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, KeyPair};
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        let part = |bytes: &[u8]| json!(URL_SAFE_NO_PAD.encode(bytes));
        let jwk = json!({"kty": "EC", "crv": "P-256", "kid": "k", "x": part(&point[1..33]), "y": part(&point[33..])});
        let signed = pair.sign(&random, b"message").unwrap();
        let key = Key::parse(&jwk).unwrap();
        assert_eq!(
            key.verify(Algorithm::ES256, b"message", signed.as_ref()),
            Some(true)
        );
        assert_eq!(
            key.verify(Algorithm::ES256, b"massage", signed.as_ref()),
            Some(false)
        );

        let pair = Ed25519KeyPair::generate().unwrap();
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": part(pair.public_key().as_ref())});
        let key = Key::parse(&jwk).unwrap();
        assert_eq!(
            key.verify(Algorithm::EdDSA, b"message", pair.sign(b"message").as_ref()),
            Some(true)
        );
        assert_eq!(
            key.verify(Algorithm::EdDSA, b"massage", pair.sign(b"message").as_ref()),
            Some(false)
        );
    }
}
