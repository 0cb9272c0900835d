//! The settings that take one word of a few.

/// A setting with a fixed set of words.
pub(super) trait Choice: Copy + 'static {
    /// Every value with its word.
    const ALL: &'static [(&'static str, Self)];

    /// The first value, which is the strictest one.
    const STRICTEST: Self;

    /// The value that a word names.
    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == word).map(|&(_, value)| value)
    }
}

macro_rules! choice {
    ($(#[$about:meta])* $name:ident {
        $(#[$strictest:meta])* $first:ident = $first_word:literal,
        $($(#[$meaning:meta])* $variant:ident = $word:literal,)+
    }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $(#[$strictest])* $first,
            $($(#[$meaning])* $variant,)+
        }

        impl $name {
            /// The words of the configuration, in the order of the values.
            pub const WORDS: &'static [&'static str] = &[$first_word, $($word,)+];

            /// The word of the configuration.
            pub fn as_str(self) -> &'static str {
                match self {
                    Self::$first => $first_word,
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl Choice for $name {
            const ALL: &'static [(&'static str, Self)] = &[($first_word, Self::$first), $(($word, Self::$variant),)+];
            const STRICTEST: Self = Self::$first;
        }
    };
}

choice! {
    /// What happens to a value that was kept long enough.
    Expiry {
        /// Token and value are forgotten.
        Delete = "delete",
        /// The value is forgotten; the token stays and stands for nothing.
        Anonymize = "anonymize",
    }
}

choice! {
    /// The legal basis of a purpose (GDPR Article 6(1)).
    Basis {
        /// Consent: asks for `Privet-Consent`.
        Consent = "consent",
        /// A contract with the person.
        Contract = "contract",
        /// A legal obligation.
        LegalObligation = "legal-obligation",
        /// Somebody's vital interests.
        VitalInterests = "vital-interests",
        /// A task in the public interest.
        PublicTask = "public-task",
        /// Legitimate interest: the person may object.
        LegitimateInterest = "legitimate-interest",
    }
}

choice! {
    /// What a recipient of data is to the controller.
    Role {
        /// It acts for the controller (GDPR Article 28).
        Processor = "processor",
        /// It acts for purposes of its own.
        Controller = "controller",
        /// It decides together with the controller (GDPR Article 26).
        JointController = "joint-controller",
    }
}

choice! {
    /// On what a transfer to a third country rests (GDPR Articles 45 to 49).
    Transfer {
        /// There is no such transfer.
        None = "none",
        /// A decision that the country protects data as well.
        Adequacy = "adequacy",
        /// Standard contractual clauses.
        Clauses = "standard-clauses",
        /// Binding corporate rules.
        Rules = "binding-rules",
        /// A derogation for specific situations.
        Derogation = "derogation",
    }
}

choice! {
    /// What happens to a request without consent.
    WithoutConsent {
        /// It is refused with 403.
        Block = "block",
        /// It is forwarded; every finding is removed for good, nothing is stored.
        Anonymize = "anonymize",
    }
}

choice! {
    /// What happens to tokens in a reply.
    Reply {
        /// Each is replaced by its value.
        Restore = "restore",
        /// Each is replaced by its value, and personal data that the chatbot
        /// itself brings up is replaced as the route's plan says, for good.
        RestoreRedact = "restore+redact",
        /// The reply passes untouched.
        Pass = "pass",
    }
}

choice! {
    /// What happens to fields that identify a person to the protocol, such as
    /// `user`.
    Identity {
        /// Findings in them are replaced, as everywhere.
        Scan = "scan",
        /// The whole value is replaced by a token.
        Token = "token",
        /// They stay.
        Keep = "keep",
    }
}

choice! {
    /// What happens to a body that cannot be inspected.
    Binary {
        /// It is refused with 415.
        Refuse = "refuse",
        /// It passes, and is counted.
        Pass = "pass",
    }
}

choice! {
    /// How a line of the log looks.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

choice! {
    /// The least grave lines of the log that are written.
    LogLevel {
        /// What failed.
        Error = "error",
        /// What should be looked at.
        Warn = "warn",
        /// What happened.
        Info = "info",
        /// Why it happened.
        Debug = "debug",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_values_agree() {
        for &(word, basis) in Basis::ALL {
            assert_eq!(basis.as_str(), word);
            assert_eq!(Basis::from_word(word), Some(basis));
            assert!(Basis::WORDS.contains(&word));
        }
        assert_eq!(Basis::from_word("Consent"), None);
    }
}
