//! What the cards say, in each language.
//!
//! A language is one table of [`Sentences`]: a file in `language/`, made to be read and written by translators. All
//! fields must be there for the program to be built. Words in braces stand for what is put in their place; which of them
//! a sentence has is the same in all languages, which a test holds.

mod chinese;
mod english;
mod french;
mod german;
mod spanish;

/// A language that the cards speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English; spoken where the wanted one is not here.
    #[default]
    English,
    /// German.
    German,
    /// Spanish.
    Spanish,
    /// French.
    French,
    /// Chinese in simplified characters.
    Chinese,
}

impl Language {
    /// All of them.
    pub const ALL: [Language; 5] =
        [Language::English, Language::German, Language::Spanish, Language::French, Language::Chinese];

    /// From what `LC_ALL`, `LC_MESSAGES` or `LANG` say ("de_CH.UTF-8"), or from a list as `LANGUAGE` has it ("pt:es"):
    /// the first that is here. The country and the encoding do not matter.
    pub fn from_locale(locale: &str) -> Language {
        let named = |one: &str| match one.split(['_', '-', '.', '@']).next()?.to_ascii_lowercase().as_str() {
            "en" => Some(Language::English),
            "de" => Some(Language::German),
            "es" => Some(Language::Spanish),
            "fr" => Some(Language::French),
            "zh" => Some(Language::Chinese),
            _ => None,
        };
        locale.split(':').find_map(named).unwrap_or_default()
    }

    /// Its table.
    pub fn sentences(self) -> &'static Sentences {
        match self {
            Language::English => &english::SENTENCES,
            Language::German => &german::SENTENCES,
            Language::Spanish => &spanish::SENTENCES,
            Language::French => &french::SENTENCES,
            Language::Chinese => &chinese::SENTENCES,
        }
    }

    /// `42 s`, `3 min`, `5 h`, `2 days`: one figure is enough.
    pub fn duration(self, seconds: u64) -> String {
        let sentences = self.sentences();
        let (sentence, count) = match seconds {
            0..120 => (sentences.seconds, seconds),
            120..7_200 => (sentences.minutes, seconds / 60),
            7_200..172_800 => (sentences.hours, seconds / 3_600),
            _ => (sentences.days, seconds / 86_400),
        };
        sentence.replace("{count}", &count.to_string())
    }
}

/// Declares the table and, for the tests, a list of it.
macro_rules! sentences {
    ($($(#[$meta:meta])* $name:ident,)*) => {
        /// One language.
        #[derive(Debug)]
        pub struct Sentences { $($(#[$meta])* pub $name: &'static str,)* }

        #[cfg(test)]
        impl Sentences {
            /// All sentences with their names.
            pub fn list(&self) -> Vec<(&'static str, &'static str)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

sentences! {
    /// A station is expected; `{name}` is its name or address.
    waiting_for,
    /// Beneath it.
    calling_until_answer,
    /// Stations have found each other and agree on keys.
    connecting,
    /// A call without a picture.
    no_picture_from,
    /// The other station is gone from the network.
    away,
    /// Beneath it; `{time}` is a duration.
    away_for,
    /// The other station is gone since a time of day.
    away_since,
    /// Above the six words that the other station wants.
    give_these_words,
    /// Title of the card with the QR code.
    pairing,
    /// What to do with the code.
    pairing_how,
    /// Title of the card by which a phone is let in.
    inviting,
    /// What to do with its code.
    inviting_how,
    /// That the browser will warn; `{fingerprint}` is what is to be compared.
    inviting_certificate,
    /// How a station that knows no other yet is paired by its call button.
    hold_to_pair,
    /// How long the code can be used; `{time}` is a duration.
    valid_for,
    /// Two stations now know each other.
    paired_with,
    /// Somebody rings.
    rings,
    /// Whom we ring.
    calling,
    /// Who of a group is ringing; `{names}` is a list.
    ringing_at,
    /// Between the names of a list.
    between_names,
    /// Do not disturb is on.
    do_not_disturb,
    /// One missed call.
    missed_one,
    /// More missed calls.
    missed_many,
    /// The call is over, by a hand.
    ended,
    /// In another call.
    busy,
    /// Refused by a hand.
    declined,
    /// Nobody answered.
    no_answer,
    /// No way to it.
    unreachable,
    /// We may not call it.
    not_allowed,
    /// It does not want to be disturbed.
    not_disturbed,
    /// Another station took the call.
    answered_by,
    /// The connection was lost.
    lost,
    /// Calls have a longest time, and it is over.
    time_limit,
    /// We look at another station.
    watching,
    /// Another station looks at us.
    watched_by,
    /// Another station speaks to us, one way.
    page_from,
    /// We speak to others, one way.
    paging,
    /// We put the other side on hold.
    holding,
    /// The other side put us on hold.
    held_by,
    /// The door was released.
    door_open,
    /// The door was not released, though somebody here wanted it.
    door_shut,
    /// Our microphone is off.
    muted,
    /// Theirs is.
    muted_there,
    /// The network loses or delays much.
    weak_network,
    /// Pictures are reduced, since the board is too hot.
    reduced_by_heat,
    /// Since its power supply is too weak.
    reduced_by_power,
    /// Since it has too much to do.
    reduced_by_work,
    /// How long a call may still last; `{time}` is minutes and seconds.
    remaining,
    /// There is no camera here.
    no_camera,
    /// There is no microphone here.
    no_microphone,
    /// The loudspeaker does not work.
    no_loudspeaker,
    /// There is no network here.
    no_network,
    /// No sound comes from a station.
    no_sound_from,
    /// A button: to answer.
    answer_button,
    /// A button: not to answer.
    decline_button,
    /// A button: to end a call.
    hang_up_button,
    /// A button: to open the door.
    release_button,
    /// A button: to stop what is going on.
    stop_button,
    /// A button: to pair with another station.
    pair_button,
    /// Seconds, abbreviated.
    seconds,
    /// Minutes, abbreviated.
    minutes,
    /// Hours, abbreviated.
    hours,
    /// Two days or more.
    days,
}
