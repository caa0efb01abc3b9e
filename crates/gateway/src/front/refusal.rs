//! Why the front refuses a request, with the status that says so.

use http::StatusCode;

/// Why a request is refused before anybody asks who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A line of the head is malformed, or ends with a bare line feed.
    #[error("the head of the request is malformed")]
    Malformed,
    /// The framing of the body is ambiguous.
    #[error("the length of the body must be given once: by one Content-Length, or by `Transfer-Encoding: chunked`")]
    Framing,
    /// More bytes or fields than allowed.
    #[error("the head of the request is too large")]
    TooLarge,
    /// The target is longer than allowed.
    #[error("the address is too long")]
    TargetTooLong,
    /// A method that is not passed on.
    #[error("this method is not passed on")]
    Method,
    /// Neither HTTP/1.1 nor HTTP/1.0.
    #[error("this version of HTTP is not spoken here")]
    Version,
    /// The head did not come in time.
    #[error("the head of the request did not come in time")]
    Slow,
    /// No `Host`, several, or one that is none.
    #[error("one Host is needed: a name or an address, with or without a port")]
    Host,
    /// The target is no path.
    #[error("the target must be an absolute path")]
    Target,
    /// The path can be read in more than one way.
    #[error("the path can be read in more than one way: {0}")]
    Path(Ambiguity),
    /// A field that this version of HTTP does not have.
    #[error("a field belongs to another version of HTTP")]
    Connection,
    /// An expectation other than `100-continue`.
    #[error("only the expectation 100-continue is met")]
    Expectation,
}

/// What makes a path ambiguous.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ambiguity {
    /// A percent sign without two hexadecimal digits.
    #[error("a percent sign is not followed by two hexadecimal digits")]
    Percent,
    /// An encoded slash, backslash or percent sign.
    #[error("it has an encoded slash, backslash or percent sign")]
    Separator,
    /// A control character, encoded or not.
    #[error("it has a control character")]
    Control,
    /// A semicolon or a backslash.
    #[error("it has a semicolon or a backslash")]
    Parameter,
    /// Two slashes in a row.
    #[error("it has an empty segment")]
    Empty,
    /// A segment `.` or `..`, or one that starts or ends with a space or ends with a dot.
    #[error("it has a segment of dots, or one that begins or ends with a space or a dot")]
    Dots,
    /// Bytes that are no UTF-8, or a character that some servers fold into a slash or a dot.
    #[error("it has characters that servers read differently")]
    Character,
}

impl Refusal {
    /// The status of the answer.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The refusals of the raw head, which travel to the handler as a digit.
    const OF_HEADS: [Self; 7] =
        [Self::Malformed, Self::Framing, Self::TooLarge, Self::TargetTooLong, Self::Method, Self::Version, Self::Slow];

    pub(crate) fn digit(self) -> u8 {
        let position = Self::OF_HEADS.iter().position(|known| *known == self).unwrap_or(0);
        b'0' + u8::try_from(position).unwrap_or(0)
    }

    pub(crate) fn from_digit(digit: u8) -> Self {
        Self::OF_HEADS.get(usize::from(digit.wrapping_sub(b'0'))).copied().unwrap_or(Self::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_read_back() {
        for refusal in Refusal::OF_HEADS {
            assert_eq!(Refusal::from_digit(refusal.digit()), refusal);
        }
        assert_eq!(Refusal::from_digit(b'x'), Refusal::Malformed);
    }
}
