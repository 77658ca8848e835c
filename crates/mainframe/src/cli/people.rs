//! What can be typed about people: who one is, whom one knows, what is said.

use clap::{Args, Subcommand, ValueEnum};

use super::Hold;

/// For whom a command speaks.
#[derive(Args, Clone, Debug)]
pub(crate) struct Me {
    /// Which person of this node speaks, by name; can be left out where there is only one.
    #[arg(id = "as", long = "as", global = true, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

/// Commands about oneself.
#[derive(Subcommand, Debug)]
pub(crate) enum Id {
    /// Make a person on this node: somebody who can be found, and talk.
    New {
        /// A name; it stands on the person's card.
        name: String,
        /// How many bits of this node's position card and address tell; fewer hide it among more nodes.
        #[arg(long, value_name = "BITS")]
        luminosity: Option<u16>,
        /// What this node is called among the person's devices, told to whom they talk with; the host's name if left out.
        #[arg(long, value_name = "TEXT")]
        device_name: Option<String>,
    },
    /// Who a person of this node is, and how they are reached.
    Show {
        /// The name; can be left out where there is only one person.
        name: Option<String>,
    },
    /// Print a person's card (mfc:…): give it to whoever should be able to write first.
    Card {
        /// The name; can be left out where there is only one person.
        name: Option<String>,
    },
    /// Print an invitation (mfi:…): a card with a secret, by which the invited is known.
    Invite {
        /// Who invites; can be left out where there is only one person.
        name: Option<String>,
        /// For everybody who has it, instead of for one person.
        #[arg(long)]
        reusable: bool,
        /// Whoever has it becomes a contact without a question.
        #[arg(long)]
        accept: bool,
        /// For how many hours it holds.
        #[arg(long, default_value_t = 72, value_parser = clap::value_parser!(u32).range(1..=8_760))]
        hours: u32,
        /// Print it short enough for a picture (QR).
        #[arg(long)]
        picture: bool,
    },
    /// Invitations that are out.
    Invitations {
        /// Whose; can be left out where there is only one person.
        name: Option<String>,
    },
    /// Take an invitation back.
    Withdraw {
        /// Its name, as `id invitations` prints it.
        invitation: String,
        #[command(flatten)]
        me: Me,
    },
    /// People on this node.
    List,
}

/// Commands about contacts, and for whom.
#[derive(Args, Debug)]
pub(crate) struct Contact {
    #[command(flatten)]
    pub(crate) me: Me,
    #[command(subcommand)]
    pub(crate) command: ContactCommand,
}

/// Commands about contacts. CONTACT is a key, its beginning, or the name on the card, if only one has it.
#[derive(Subcommand, Debug)]
pub(crate) enum ContactCommand {
    /// Whom one knows, and how it stands with them.
    List,
    /// Greet somebody by their card (mfc:…) or invitation (mfi:…).
    Add {
        /// The card or invitation; `-` reads it from standard input.
        #[arg(value_name = "CARD")]
        to: String,
        /// What to say first, at most 600 bytes.
        #[arg(value_name = "TEXT", default_value = "")]
        greeting: String,
        /// Wait until there is a session with them.
        #[arg(long)]
        wait: bool,
    },
    /// Who would like to talk, and what they say.
    Requests,
    /// Accept a request.
    Accept {
        /// Whose.
        contact: String,
        /// Wait for the request, if it has not come yet, and until there is a session with them.
        #[arg(long)]
        wait: bool,
    },
    /// Decline a request.
    Decline {
        /// Whose.
        contact: String,
        /// Tell them; else they see no difference to somebody who is never there.
        #[arg(long)]
        tell: bool,
    },
    /// Listen to nothing of somebody any more, without telling them.
    Block {
        /// Whom.
        contact: String,
    },
    /// Listen to somebody again.
    Unblock {
        /// Whom.
        contact: String,
    },
    /// Print words that both must read alike: if they do, nobody stands between.
    Verify {
        /// With whom.
        contact: String,
    },
    /// Forget a contact, or take a greeting back.
    Remove {
        /// Whom.
        contact: String,
    },
}

/// Commands about sessions, and for whom.
#[derive(Args, Debug)]
pub(crate) struct Session {
    #[command(flatten)]
    pub(crate) me: Me,
    #[command(subcommand)]
    pub(crate) command: SessionCommand,
}

/// Commands about sessions. SESSION is a contact, a group's name, or a session's name or its beginning.
#[derive(Subcommand, Debug)]
pub(crate) enum SessionCommand {
    /// Sessions of two and groups.
    List,
    /// How a session is.
    Show {
        /// Which.
        session: String,
    },
    /// Who is in it, on which devices.
    Members {
        /// Which.
        session: String,
    },
    /// Say something.
    Say {
        /// Where.
        session: String,
        /// What; `-` or nothing reads standard input.
        #[arg(value_name = "TEXT")]
        text: Option<String>,
        /// Wait for the session, if it is not there yet, and until the message has got so far.
        #[arg(long, value_enum, value_name = "STATE")]
        wait: Option<Progress>,
    },
    /// Print what was said, and tell its authors that it was read.
    Read {
        /// Where.
        session: String,
        /// Only what stands after this place.
        #[arg(long, value_name = "PLACE", default_value_t = 0)]
        after: u64,
        /// Tell nobody that it was read.
        #[arg(long)]
        unmarked: bool,
    },
    /// Print what is said from now on. A session that is not there yet is waited for.
    Listen {
        /// Where.
        session: String,
        /// Stop after so many messages of others; --timeout then bounds the wait.
        #[arg(long, value_name = "N")]
        count: Option<u64>,
        /// Start with everything that was said.
        #[arg(long)]
        all: bool,
        /// Tell nobody that it was read.
        #[arg(long)]
        unmarked: bool,
    },
    /// Take an own message back that not everybody has yet.
    TakeBack {
        /// Where.
        session: String,
        /// Its place, as `session say --json` tells it.
        place: u64,
    },
    /// Renew this device's keys now, so that what a thief took opens nothing more.
    Renew {
        /// In which session.
        session: String,
    },
}

/// How far a message is to get.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Progress {
    /// It left.
    Sent,
    /// Everybody has it.
    Delivered,
    /// Everybody has read it, and says so.
    Read,
}

/// Commands about groups, and for whom.
#[derive(Args, Debug)]
pub(crate) struct Group {
    #[command(flatten)]
    pub(crate) me: Me,
    #[command(subcommand)]
    pub(crate) command: GroupCommand,
}

/// Commands about groups. GROUP is its name or the session's name or its beginning.
#[derive(Subcommand, Debug)]
pub(crate) enum GroupCommand {
    /// Found a group.
    Create {
        /// What it is called.
        name: String,
        /// Contacts with whom there is a session.
        #[arg(value_name = "CONTACT")]
        members: Vec<String>,
        /// How many bits its region tells; as many as leave it about 50 relays if left out.
        #[arg(long, value_name = "BITS")]
        luminosity: Option<u16>,
        /// How long relays keep what is said for members who are away.
        #[arg(long, value_enum, default_value_t = Hold::Day)]
        hold: Hold,
        /// Give its cells a tag that other groups use too, always the same, instead of tags that nobody has seen before.
        #[arg(long)]
        shared_topic: bool,
        /// Wait until all of them are in.
        #[arg(long)]
        wait: bool,
    },
    /// Add a contact.
    Add {
        /// To which group.
        group: String,
        /// Whom.
        contact: String,
        /// Wait until they are in.
        #[arg(long)]
        wait: bool,
    },
    /// Remove a member: what is said from then on they cannot read.
    Remove {
        /// From which group.
        group: String,
        /// Whom.
        member: String,
        /// Wait until they are out.
        #[arg(long)]
        wait: bool,
    },
    /// Give a group another name.
    Rename {
        /// Which.
        group: String,
        /// The new name.
        name: String,
    },
    /// Make a member an admin, who may add and remove others.
    Admin {
        /// In which group.
        group: String,
        /// Whom.
        member: String,
        /// Make an admin an ordinary member instead.
        #[arg(long)]
        revoke: bool,
    },
    /// Leave a group. What was said there is deleted here.
    Leave {
        /// Which.
        group: String,
    },
}
