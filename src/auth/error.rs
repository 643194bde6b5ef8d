//! Why a token is refused. The texts go to the client, in `error_description`.

/// A token that does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenError {
    /// More than one `Authorization` field.
    #[error("The request has more than one Authorization header")]
    Repeated,
    /// A scheme that is not `Bearer`, or nothing behind it.
    #[error("The Authorization header must be 'Bearer' and one token")]
    Scheme,
    /// Over 16 KiB.
    #[error("The access token is longer than 16 KiB")]
    TooLong,
    /// One part: Auth0 issues it when no audience was asked for.
    #[error(
        "The access token is opaque, not a JWT: the frontend must ask Auth0 for this API's audience"
    )]
    Opaque,
    /// Five parts (RFC 7516).
    #[error("The access token is encrypted: switch token encryption off for this API in Auth0")]
    Encrypted,
    /// Not three parts of base64url, or no JSON object inside.
    #[error("The access token is malformed")]
    Malformed,
    /// A member of header or claims that stands twice.
    #[error("The access token has a duplicate header or claim")]
    Duplicate,
    /// `typ` of something else.
    #[error("The token's type is not that of an access token")]
    Type,
    /// `crit` (RFC 7515, section 4.1.11).
    #[error("The access token needs an extension that is not supported (crit)")]
    Critical,
    /// `alg` outside the allowlist, `none` included.
    #[error("The access token's signature algorithm is not allowed")]
    Algorithm,
    /// No `kid`.
    #[error("The access token names no key (kid)")]
    NoKeyId,
    /// A `kid` that the key set does not have.
    #[error("The access token was signed with an unknown key")]
    UnknownKey,
    /// The signature does not fit.
    #[error("The access token's signature does not verify")]
    Signature,
    /// A claim of the wrong type or form.
    #[error("The access token has a claim of the wrong type")]
    Claim,
    /// No `iss`, or another one.
    #[error("The access token was issued by somebody else (iss)")]
    Issuer,
    /// No `aud`, or another one.
    #[error("The access token is for another API (aud)")]
    Audience,
    /// An ID token.
    #[error("This is an ID token: send the access token")]
    IdToken,
    /// No `sub`, or one that is no visible ASCII.
    #[error("The access token has no valid subject (sub)")]
    Subject,
    /// No `exp`.
    #[error("The access token does not say when it expires (exp)")]
    NoExpiry,
    /// `exp` is over.
    #[error("The access token has expired")]
    Expired,
    /// `nbf` or `iat` is in the future.
    #[error("The access token is not valid yet")]
    NotYetValid,
}

impl TokenError {
    /// The `error` of RFC 6750, section 3.1.
    #[must_use]
    pub fn code(self) -> &'static str {
        if matches!(self, Self::Repeated | Self::Scheme) {
            "invalid_request"
        } else {
            "invalid_token"
        }
    }

    /// The label in metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Repeated => "repeated_header",
            Self::Scheme => "bad_scheme",
            Self::TooLong => "too_long",
            Self::Opaque => "opaque",
            Self::Encrypted => "encrypted",
            Self::Malformed => "malformed",
            Self::Duplicate => "duplicate_member",
            Self::Type => "wrong_type",
            Self::Critical => "critical",
            Self::Algorithm => "wrong_algorithm",
            Self::NoKeyId => "no_kid",
            Self::UnknownKey => "unknown_kid",
            Self::Signature => "bad_signature",
            Self::Claim => "bad_claim",
            Self::Issuer => "wrong_issuer",
            Self::Audience => "wrong_audience",
            Self::IdToken => "id_token",
            Self::Subject => "bad_subject",
            Self::NoExpiry => "no_expiry",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
        }
    }
}
