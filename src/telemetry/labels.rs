//! The values that labels of metrics can have, where the configuration does
//! not name them.

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident => $label:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
        }

        impl $name {
            /// Every value.
            pub const ALL: [Self; [$($label),*].len()] = [$(Self::$variant),*];

            /// The value of the label.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $label,)* }
            }
        }
    };
}

labels! {
    /// How a request ended; each is counted once.
    Outcome {
        /// Forwarded, with findings tokenised or none found.
        Forwarded => "forwarded",
        /// Forwarded without consent, every finding removed beyond recovery.
        Anonymized => "anonymized",
        /// Answered by Privet itself: its own pages, preflights.
        Answered => "answered",
        /// Answered 403 for want of consent.
        RefusedConsent => "refused_consent",
        /// Answered 400, 403 for its origin, 413, 415 or 422.
        RefusedInput => "refused_input",
        /// Answered 429 or 503 because a limit was reached.
        RefusedOverload => "refused_overload",
        /// Answered 503 because the vault could not be used.
        VaultFailed => "vault_failed",
        /// Answered 502 or 504, or the upstream's reply broke off.
        UpstreamFailed => "upstream_failed",
        /// Answered 500, or a reply was broken off by Privet's own fault.
        InternalError => "internal_error",
        /// The client went away before its reply was complete.
        ClientGone => "client_gone",
    }
}

labels! {
    /// A part of a request's way whose time is measured.
    Stage {
        /// Walking the body and finding what is personal in it.
        Scan => "scan",
        /// Waiting for the vault to make or find tokens.
        Vault => "vault",
        /// From sending the request to the head of the upstream's reply.
        Upstream => "upstream",
        /// Restoring one reply: the sum over its chunks.
        Restore => "restore",
    }
}

labels! {
    /// The way of the text in which something was found.
    Direction {
        /// From the client to the upstream.
        Request => "request",
        /// From the upstream to the client.
        Reply => "reply",
    }
}

labels! {
    /// What became of a part of a body.
    Inspected {
        /// Rules looked at it.
        Scanned => "scanned",
        /// The protocol, or the route, says that it is never touched.
        Skipped => "skipped",
        /// No rule can read it, and the route lets it pass.
        Passed => "passed",
        /// No rule can read it, and the request was refused.
        Refused => "refused",
    }
}

labels! {
    /// How a log-in to the admin API ended.
    Login {
        /// The operator is known.
        Ok => "ok",
        /// The key is none, or it has ended.
        Refused => "refused",
        /// Too many failed before from the same address.
        Limited => "limited",
    }
}

labels! {
    /// What the vault was asked for.
    VaultOperation {
        /// To load or make the keys of a subject.
        Subject => "subject",
        /// To give tokens for values.
        Tokenize => "tokenize",
        /// To give values for tokens.
        Restore => "restore",
        /// To find a subject by the id of a reply, or to let it be found.
        Link => "link",
        /// To show that it can write.
        Check => "check",
    }
}
