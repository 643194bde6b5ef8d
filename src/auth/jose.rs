//! Reading a JWT strictly (RFC 7515, RFC 7519): a member of the wrong type, or one that stands twice, is a
//! refusal, never "absent". Parsers disagree about such tokens, and attacks live where they do.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::TokenError;
use crate::clock::UnixSeconds;

/// The three parts of a compact JWS, as text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compact<'a> {
    pub(super) unverified_header: &'a str,
    pub(super) unverified_claims: &'a str,
    pub(super) signature: &'a str,
    /// Header and claims with the dot between them: what is signed.
    pub(super) signed: &'a str,
}

/// What of a JOSE header counts. Texts are borrowed from the decoded part wherever they hold no escape.
#[derive(Debug)]
pub(super) struct Header<'j> {
    pub(super) algorithm: Cow<'j, str>,
    pub(super) key_id: Cow<'j, str>,
}

/// What of the claims counts. `None` is absent.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Claims<'j> {
    pub(super) issuer: Option<Cow<'j, str>>,
    pub(super) audience: Vec<Cow<'j, str>>,
    pub(super) subject: Option<Cow<'j, str>>,
    pub(super) expires_at: Option<UnixSeconds>,
    pub(super) not_before: Option<UnixSeconds>,
    pub(super) issued_at: Option<UnixSeconds>,
    pub(super) permissions: Vec<Cow<'j, str>>,
    pub(super) id_token: bool,
}

impl<'a> Compact<'a> {
    /// Splits a token at its dots.
    pub(super) fn split(unverified_token: &'a str) -> Result<Self, TokenError> {
        let mut parts = unverified_token.split('.');
        let header = parts.next().unwrap_or_default();
        let Some(claims) = parts.next() else {
            return Err(TokenError::Opaque);
        };
        let Some(signature) = parts.next() else {
            return Err(TokenError::Malformed);
        };
        match parts.count() {
            0 => {}
            2 => return Err(TokenError::Encrypted),
            _ => return Err(TokenError::Malformed),
        }
        let signed = &unverified_token[..header.len() + 1 + claims.len()];
        Ok(Self {
            unverified_header: header,
            unverified_claims: claims,
            signature,
            signed,
        })
    }

    /// The JSON text of the header, to be read by [`Header::read`].
    pub(super) fn header_json(&self) -> Result<Vec<u8>, TokenError> {
        decode(self.unverified_header)
    }

    /// The JSON text of the claims, to be read by [`Claims::read`], and only after the signature has been verified.
    pub(super) fn claims_json(&self) -> Result<Vec<u8>, TokenError> {
        decode(self.unverified_claims)
    }

    /// The signature's bytes.
    pub(super) fn signature(&self) -> Result<Vec<u8>, TokenError> {
        decode(self.signature)
    }
}

impl<'j> Header<'j> {
    /// Reads a header.
    pub(super) fn read(json: &'j [u8]) -> Result<Self, TokenError> {
        let members: HeaderMembers<'j> = read(json)?;
        if members.encrypted {
            return Err(TokenError::Encrypted);
        }
        if members.critical {
            return Err(TokenError::Critical);
        }
        let known =
            |typ: &str| typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case("at+jwt");
        if members.typ.is_some_and(|typ| !known(&typ)) {
            return Err(TokenError::Type);
        }
        let algorithm = members.algorithm.ok_or(TokenError::Algorithm)?;
        let key_id = members
            .key_id
            .filter(|kid| !kid.is_empty())
            .ok_or(TokenError::NoKeyId)?;
        Ok(Self { algorithm, key_id })
    }
}

impl<'j> Claims<'j> {
    /// Reads claims.
    pub(super) fn read(json: &'j [u8]) -> Result<Self, TokenError> {
        read(json)
    }
}

fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| TokenError::Malformed)
}

/// Reads a JSON object.
fn read<'j, T: Deserialize<'j>>(json: &'j [u8]) -> Result<T, TokenError> {
    serde_json::from_slice(json).map_err(|error| {
        // Our own visitors mark the two cases that a client is told apart.
        let text = error.to_string();
        if text.starts_with(DUPLICATE) {
            TokenError::Duplicate
        } else if text.starts_with(WRONG) {
            TokenError::Claim
        } else {
            TokenError::Malformed
        }
    })
}

const DUPLICATE: &str = "duplicate member";
const WRONG: &str = "member of the wrong type";

#[derive(Default)]
struct HeaderMembers<'j> {
    algorithm: Option<Cow<'j, str>>,
    key_id: Option<Cow<'j, str>>,
    typ: Option<Cow<'j, str>>,
    critical: bool,
    encrypted: bool,
}

/// Members of a header or of claims; a token of Auth0's has a dozen or two. Each is compared with those before.
const MAX_MEMBERS: usize = 256;

/// An object whose members are filled in one by one.
trait Members<'de>: Default {
    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error>;
}

impl<'de> Members<'de> for HeaderMembers<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "alg" => self.algorithm = Some(value::<_, Text>(map)?.0),
            "kid" => self.key_id = Some(value::<_, Text>(map)?.0),
            "typ" => self.typ = Some(value::<_, Text>(map)?.0),
            "crit" => {
                self.critical = true;
                map.next_value::<IgnoredAny>()?;
            }
            "enc" => {
                self.encrypted = true;
                map.next_value::<IgnoredAny>()?;
            }
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

impl<'de> Members<'de> for Claims<'de> {
    fn member<A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<(), A::Error> {
        match name {
            "iss" => self.issuer = Some(value::<_, Text>(map)?.0),
            "aud" => self.audience = value::<_, OneOrMany>(map)?.0,
            "sub" => self.subject = Some(value::<_, Text>(map)?.0),
            "exp" => self.expires_at = Some(value::<_, NumericDate>(map)?.0),
            "nbf" => self.not_before = Some(value::<_, NumericDate>(map)?.0),
            "iat" => self.issued_at = Some(value::<_, NumericDate>(map)?.0),
            "permissions" => self.permissions = value::<_, Names>(map)?.0,
            // Read by backends: they must be able to trust the type (RFC 9068, section 2.2).
            "scope" | "azp" | "client_id" | "jti" => drop(value::<_, Text>(map)?),
            // OpenID Connect Core, sections 2 and 3.3.2.11: only an ID token has these.
            "nonce" | "at_hash" | "c_hash" => {
                self.id_token = true;
                map.next_value::<IgnoredAny>()?;
            }
            _ => drop(map.next_value::<IgnoredAny>()?),
        }
        Ok(())
    }
}

fn value<'de, A: MapAccess<'de>, T: Deserialize<'de>>(map: &mut A) -> Result<T, A::Error> {
    map.next_value().map_err(|_| de::Error::custom(WRONG))
}

struct MembersVisitor<T>(std::marker::PhantomData<T>);

impl<'de, T: Members<'de>> Visitor<'de> for MembersVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut members = T::default();
        // A token has a dozen members: comparing each with those before is the cheapest way.
        let mut seen: Vec<Cow<'de, str>> = Vec::with_capacity(16);
        while let Some(Text(name)) = map.next_key()? {
            if seen.contains(&name) {
                return Err(de::Error::custom(DUPLICATE));
            }
            if seen.len() >= MAX_MEMBERS {
                return Err(de::Error::custom("too many members"));
            }
            members.member(&name, &mut map)?;
            seen.push(name);
        }
        Ok(members)
    }
}

macro_rules! deserialize_members {
    ($($type:ident),*) => {$(
        impl<'de> Deserialize<'de> for $type<'de> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_map(MembersVisitor(std::marker::PhantomData))
            }
        }
    )*};
}
deserialize_members!(HeaderMembers, Claims);

/// A text, borrowed where it can be.
struct Text<'j>(Cow<'j, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrow;
        impl<'de> Visitor<'de> for Borrow {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Borrow)
    }
}

/// `aud`: a text or a list of texts.
struct OneOrMany<'j>(Vec<Cow<'j, str>>);

impl<'de> Deserialize<'de> for OneOrMany<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrList;
        impl<'de> Visitor<'de> for TextOrList {
            type Value = OneOrMany<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<OneOrMany<'de>, E> {
                Ok(OneOrMany(vec![Cow::Borrowed(text)]))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<OneOrMany<'de>, E> {
                Ok(OneOrMany(vec![Cow::Owned(text.to_owned())]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany<'de>, A::Error> {
                let mut items = Vec::new();
                while let Some(Text(item)) = list.next_element()? {
                    items.push(item);
                }
                Ok(OneOrMany(items))
            }
        }
        deserializer.deserialize_any(TextOrList)
    }
}

/// `permissions`: names of visible ASCII without spaces, so that they can be joined by spaces.
struct Names<'j>(Vec<Cow<'j, str>>);

impl<'de> Deserialize<'de> for Names<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names: Vec<_> = Vec::<Text<'de>>::deserialize(deserializer)?
            .into_iter()
            .map(|name| name.0)
            .collect();
        if names.iter().all(|name| is_visible_ascii(name)) {
            Ok(Self(names))
        } else {
            Err(de::Error::custom("name"))
        }
    }
}

/// Not empty, and every character from `!` to `~`.
pub(super) fn is_visible_ascii(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

/// RFC 7519, section 2: seconds since the epoch, maybe with a fraction, which is cut off.
struct NumericDate(UnixSeconds);

/// The year 9999: beyond it, a number is no date.
const LAST_DATE: f64 = 253_402_300_799.0;

impl<'de> Deserialize<'de> for NumericDate {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range has been checked"
    )]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        if seconds.is_finite() && (0.0..=LAST_DATE).contains(&seconds) {
            Ok(Self(seconds.floor() as UnixSeconds))
        } else {
            Err(de::Error::custom("date"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(json: &str) -> String {
        URL_SAFE_NO_PAD.encode(json)
    }

    fn header(json: &str) -> Result<(), TokenError> {
        let token = format!("{}.e30.x", encode(json));
        Header::read(&Compact::split(&token)?.header_json()?).map(drop)
    }

    /// Leaks a little, so that what is read can be returned.
    fn claims(json: &str) -> Result<Claims<'static>, TokenError> {
        let token = format!("e30.{}.x", encode(json));
        let json = Compact::split(&token)?.claims_json()?;
        Claims::read(json.leak())
    }

    #[test]
    fn a_token_has_three_parts() {
        for (token, error) in [
            ("", TokenError::Opaque),
            ("opaque", TokenError::Opaque),
            ("a.b", TokenError::Malformed),
            ("a.b.c.d", TokenError::Malformed),
            ("a.b.c.d.e", TokenError::Encrypted),
            ("a.b.c.d.e.f", TokenError::Malformed),
        ] {
            assert_eq!(Compact::split(token).unwrap_err(), error, "{token}");
        }
    }

    #[test]
    fn a_header_is_refused_when_it_is_not_that_of_a_signed_access_token() {
        assert!(header(r#"{"alg":"RS256","kid":"k"}"#).is_ok());
        assert!(header(r#"{"alg":"RS256","kid":"k","typ":"jwt"}"#).is_ok());
        assert!(header(r#"{"alg":"RS256","kid":"k","typ":"at+JWT","x5t":"y"}"#).is_ok());
        for (json, error) in [
            (r#"{"alg":"RS256"}"#, TokenError::NoKeyId),
            (r#"{"alg":"RS256","kid":""}"#, TokenError::NoKeyId),
            (r#"{"alg":"RS256","kid":7}"#, TokenError::Claim),
            (r#"{"kid":"k"}"#, TokenError::Algorithm),
            (
                r#"{"alg":"RS256","kid":"k","typ":"secevent+jwt"}"#,
                TokenError::Type,
            ),
            (
                r#"{"alg":"RS256","kid":"k","crit":["b64"],"b64":false}"#,
                TokenError::Critical,
            ),
            (
                r#"{"alg":"RS256","kid":"k","crit":[]}"#,
                TokenError::Critical,
            ),
            (
                r#"{"alg":"dir","enc":"A256GCM","kid":"k"}"#,
                TokenError::Encrypted,
            ),
            (
                r#"{"alg":"RS256","kid":"k","kid":"k"}"#,
                TokenError::Duplicate,
            ),
            (
                r#"{"alg":"RS256","kid":"k","x":1,"x":2}"#,
                TokenError::Duplicate,
            ),
            ("[]", TokenError::Malformed),
            ("{", TokenError::Malformed),
        ] {
            assert_eq!(header(json).unwrap_err(), error, "{json}");
        }
    }

    #[test]
    fn a_claim_of_the_wrong_type_is_a_refusal_never_absent() {
        for json in [
            r#"{"iss":1}"#,
            r#"{"iss":null}"#,
            r#"{"sub":["a"]}"#,
            r#"{"sub":null}"#,
            r#"{"aud":{}}"#,
            r#"{"aud":[1]}"#,
            r#"{"aud":null}"#,
            r#"{"exp":"1"}"#,
            r#"{"exp":null}"#,
            r#"{"exp":-1}"#,
            r#"{"exp":1e300}"#,
            r#"{"nbf":true}"#,
            r#"{"iat":[]}"#,
            r#"{"permissions":"a b"}"#,
            r#"{"permissions":["a b"]}"#,
            r#"{"permissions":[""]}"#,
            r#"{"permissions":["é"]}"#,
            r#"{"permissions":null}"#,
            r#"{"permissions":[1]}"#,
            r#"{"scope":["a"]}"#,
            r#"{"azp":1}"#,
        ] {
            assert_eq!(claims(json).unwrap_err(), TokenError::Claim, "{json}");
        }
        for json in [r#"{"exp":1e999}"#, "[]", "1", "", "{\"a\":\"\u{1}\"}"] {
            assert!(claims(json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_claim_that_stands_twice_is_a_refusal() {
        for json in [
            r#"{"sub":"a","sub":"a"}"#,
            r#"{"x":1,"x":1}"#,
            r#"{"exp":1,"\u0065xp":2}"#,
        ] {
            assert_eq!(claims(json).unwrap_err(), TokenError::Duplicate, "{json}");
        }
    }

    #[test]
    fn claims_are_read() {
        let read = claims(
            r#"{"iss":"i","aud":["a","b"],"sub":"s","exp":10.9,"nbf":1,"iat":2,"permissions":["p"],"scope":"x y","gty":{"sub":1}}"#,
        );
        let expected = Claims {
            issuer: Some("i".into()),
            audience: vec!["a".into(), "b".into()],
            subject: Some("s".into()),
            expires_at: Some(10),
            not_before: Some(1),
            issued_at: Some(2),
            permissions: vec!["p".into()],
            id_token: false,
        };
        assert_eq!(read, Ok(expected));
        assert!(claims(r#"{"nonce":"n"}"#).unwrap().id_token);
    }

    #[test]
    fn a_token_with_hundreds_of_members_is_malformed() {
        let members: Vec<String> = (0..300).map(|n| format!("\"m{n}\":{n}")).collect();
        assert_eq!(
            claims(&format!("{{{}}}", members.join(","))).unwrap_err(),
            TokenError::Malformed
        );
    }

    proptest! {
        #[test]
        fn arbitrary_tokens_never_panic(token in ".{0,80}", json in any::<String>()) {
            let _ = Compact::split(&token).map(|t| (t.header_json().is_ok(), t.claims_json().is_ok()));
            let _ = header(&json);
            let _ = claims(&json);
        }
    }
}
