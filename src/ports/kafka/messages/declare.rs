//! How a message is declared: once, and much as its page in Kafka's protocol
//! guide reads.
//!
//! ```text
//! api! {
//!     /// What the API is for.
//!     Name = 3: NameRequest -> NameResponse, versions 0..=13, flexible from 9;
//!
//!     NameRequest {
//!         plain: i32,                           a field of every version
//!         newer: bool [4..] = true,             from 4 on; true where it is not there
//!         past: Text [..=7],                    up to 7
//!         hint: i32 [8..=10, ignorable],        dropped in silence where it is not there
//!         maybe: Option<Text> [null 10..],      null from 10 on; else always
//!         rare: Vec<Other> [12.., tag 0],       in the tagged section, as number 0
//!     }
//!
//!     Other { .. }
//! }
//! ```
//!
//! A record that is held by a field of some versions only has the versions of
//! that field. A value that is neither in the version nor ignorable nor the
//! default is an error where it is written. Defaults are those of Kafka's
//! schemas, but for texts and bytes that may be null: theirs is null.

/// One API: its request, its response and their records.
macro_rules! api {
    (
        $(#[$doc:meta])*
        $api:ident = $key:literal: $request:ident -> $response:ident,
        versions $first:literal..=$last:literal
        $(, flexible from $flexible:literal)?
        $(, response header $header:literal)?;

        $($records:tt)+
    ) => {
        $(#[$doc])*
        pub struct $api;

        impl crate::ports::kafka::messages::Api for $api {
            const KEY: i16 = $key;
            const NAME: &'static str = stringify!($api);
            const VERSIONS: ::std::ops::RangeInclusive<i16> = $first..=$last;
            const FLEXIBLE_FROM: i16 =
                crate::ports::kafka::messages::declare::flexible!($($flexible)?);
            $(const RESPONSE_HEADER: Option<i16> = Some($header);)?
            type Request = $request;
            type Response = $response;
        }

        crate::ports::kafka::messages::declare::message! {
            $request, $first..=$last $(, flexible from $flexible)?;
        }
        crate::ports::kafka::messages::declare::message! {
            $response, $first..=$last $(, flexible from $flexible)?;
        }
        crate::ports::kafka::messages::declare::records! { $($records)+ }
    };
}

/// Records of which the first is read and written by itself.
macro_rules! blob {
    (
        $(#[$doc:meta])*
        $name:ident, versions $first:literal..=$last:literal;

        $($records:tt)+
    ) => {
        crate::ports::kafka::messages::declare::message! { $name, $first..=$last; }
        crate::ports::kafka::messages::declare::records! {
            $(#[$doc])*
            $($records)+
        }
    };
}

macro_rules! message {
    ($name:ident, $first:literal..=$last:literal $(, flexible from $flexible:literal)?;) => {
        impl crate::ports::kafka::messages::Message for $name {
            const VERSIONS: ::std::ops::RangeInclusive<i16> = $first..=$last;
            const FLEXIBLE_FROM: i16 =
                crate::ports::kafka::messages::declare::flexible!($($flexible)?);
            const RECORD: &'static crate::ports::kafka::messages::shape::Record =
                match <Self as crate::ports::kafka::messages::value::Value>::KIND {
                    crate::ports::kafka::messages::shape::Kind::Record(record) => record,
                    _ => panic!("a message is a record"),
                };
        }
    };
}

macro_rules! flexible {
    () => {
        crate::ports::kafka::messages::NEVER
    };
    ($flexible:literal) => {
        $flexible
    };
}

macro_rules! records {
    ($(
        $(#[$doc:meta])*
        $name:ident {
            $(
                $(#[$field_doc:meta])*
                $field:ident: $type:ty $([$($rule:tt)+])? $(= $default:expr)?
            ),+ $(,)?
        }
    )+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type),+
        }

        impl Default for $name {
            fn default() -> Self {
                use crate::ports::kafka::messages::declare::default;
                Self { $($field: default!($type $(, $default)?)),+ }
            }
        }

        const _: () = {
            use crate::ports::kafka::messages::Version;
            use crate::ports::kafka::messages::declare::{default, rule};
            use crate::ports::kafka::messages::reader::{Reader, Unread};
            use crate::ports::kafka::messages::shape::{Field, Kind, Record, has_tags};
            use crate::ports::kafka::messages::value::{Nullable, Value};
            use crate::ports::kafka::messages::writer::{Unwritten, Writer};

            const FIELDS: &[Field] = &[$(
                rule!(Field::new(
                    stringify!($name),
                    stringify!($field),
                    <$type as Value>::KIND,
                ); $($($rule)+)?)
            ),+];

            /// A field's place in `FIELDS`, by its name.
            #[allow(non_camel_case_types)]
            enum Place { $($field),+ }

            impl Value for $name {
                const KIND: Kind = Kind::Record(&Record {
                    name: stringify!($name),
                    fields: FIELDS,
                });

                #[inline]
                fn bytes_min(at: Version) -> usize {
                    let mut bytes = usize::from(at.is_flexible);
                    $(
                        if const { &FIELDS[Place::$field as usize] }.is_plain_in(at.number) {
                            bytes += <$type>::bytes_min(at);
                        }
                    )+
                    bytes
                }

                fn read(from: &mut Reader, at: Version) -> Result<Self, Unread> {
                    let mut record = Self::default();
                    $({
                        const FIELD: &Field = &FIELDS[Place::$field as usize];
                        if FIELD.is_plain_in(at.number) {
                            from.fill(FIELD, &mut record.$field, at)?;
                        }
                    })+
                    if !at.is_flexible {
                        return Ok(record);
                    }
                    if const { !has_tags(FIELDS) } {
                        from.skip_tags()?;
                        return Ok(record);
                    }
                    for _ in 0..from.unsigned()? {
                        let tag = from.tag()?;
                        $({
                            const FIELD: &Field = &FIELDS[Place::$field as usize];
                            if const { FIELD.tag.is_some() }
                                && FIELD.tag == Some(tag.number)
                                && FIELD.is_in(at.number)
                            {
                                record.$field = from.tagged(&tag, FIELD, at)?;
                                continue;
                            }
                        })+
                        from.skip(&tag);
                    }
                    Ok(record)
                }

                fn write(&self, into: &mut Writer, at: Version) -> Result<(), Unwritten> {
                    $({
                        const FIELD: &Field = &FIELDS[Place::$field as usize];
                        if FIELD.is_plain_in(at.number) {
                            into.field(FIELD, &self.$field, at)?;
                        } else if const { !FIELD.is_ignorable }
                            && !FIELD.is_in(at.number)
                            && self.$field != default!($type $(, $default)?)
                        {
                            return Err(into.not_in(FIELD, at));
                        }
                    })+
                    if !at.is_flexible {
                        return Ok(());
                    }
                    let mut tagged = 0;
                    $({
                        const FIELD: &Field = &FIELDS[Place::$field as usize];
                        if FIELD.is_tagged_in(at.number)
                            && self.$field != default!($type $(, $default)?)
                        {
                            tagged += 1;
                        }
                    })+
                    into.unsigned(tagged);
                    $({
                        const FIELD: &Field = &FIELDS[Place::$field as usize];
                        if FIELD.is_tagged_in(at.number)
                            && self.$field != default!($type $(, $default)?)
                        {
                            into.tagged(FIELD, &self.$field, at)?;
                        }
                    })+
                    Ok(())
                }
            }

            impl Nullable for $name {
                fn null_bytes_min(_: Version) -> usize {
                    1
                }

                fn read_nullable(
                    from: &mut Reader,
                    at: Version,
                ) -> Result<Option<Self>, Unread> {
                    from.is_present()?.then(|| Self::read(from, at)).transpose()
                }

                fn write_nullable(
                    record: Option<&Self>,
                    into: &mut Writer,
                    at: Version,
                ) -> Result<(), Unwritten> {
                    into.put(&[if record.is_some() { 1 } else { u8::MAX }]);
                    record.map_or(Ok(()), |record| record.write(into, at))
                }
            }
        };
    )+};
}

macro_rules! default {
    ($type:ty) => {
        <$type>::default()
    };
    ($type:ty, $default:expr) => {
        $default
    };
}

/// What stands in brackets behind a field.
macro_rules! rule {
    ($field:expr;) => {
        $field
    };
    ($field:expr; , $($rest:tt)*) => {
        rule!($field; $($rest)*)
    };
    ($field:expr; ignorable $($rest:tt)*) => {
        rule!($field.ignorable(); $($rest)*)
    };
    ($field:expr; tag $number:literal $($rest:tt)*) => {
        rule!($field.tag($number); $($rest)*)
    };
    ($field:expr; null $since:literal.. $($rest:tt)*) => {
        rule!($field.null_since($since); $($rest)*)
    };
    ($field:expr; $since:literal..=$until:literal $($rest:tt)*) => {
        rule!($field.since($since).until($until); $($rest)*)
    };
    ($field:expr; $since:literal.. $($rest:tt)*) => {
        rule!($field.since($since); $($rest)*)
    };
    ($field:expr; ..=$until:literal $($rest:tt)*) => {
        rule!($field.until($until); $($rest)*)
    };
}

pub(super) use api;
pub(super) use blob;
pub(super) use default;
pub(super) use flexible;
pub(super) use message;
pub(super) use records;
pub(super) use rule;
