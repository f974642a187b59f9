//! The Secret Service: finding, reading, writing and removing items (Secret Service API 0.2).

use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

use super::session::{ALGORITHM, Exchange, Key};
use crate::dbus::{Call, CallError, Connection, Value};
use crate::document::{self, Kept};
use crate::error::SecretError;

const SERVICE: &str = "org.freedesktop.secrets";
const ROOT: &str = "/org/freedesktop/secrets";
/// How long a person may take to unlock their keyring.
const PERSON: Duration = Duration::from_secs(120);
/// "No prompt" and "no object".
const NOTHING: &str = "/";

/// The items of one store in the keyring.
pub(crate) struct Ring {
    id: String,
    /// The default collection's path.
    collection: String,
    session: String,
    key: Key,
    connection: RefCell<Connection>,
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

fn wrong(what: &str) -> SecretError {
    SecretError::Keyring(format!("{what} is not as its protocol says"))
}

impl Ring {
    /// Connects; the keyring need not be unlocked yet.
    pub(crate) fn open(bus: &str, id: String) -> Result<Self, SecretError> {
        let failed = |error: CallError| {
            SecretError::Keyring(format!(
                "{error}; start one (such as gnome-keyring or KWallet), work in the session that the secrets were set \
                 in, or keep them in a file (`secrets: {{keep: file}}`)"
            ))
        };
        let mut connection = Connection::open(bus).map_err(failed)?;
        let exchange = Exchange::new()?;
        let ours = Value::variant(Value::Bytes(exchange.public()));
        let arguments = [Value::text(ALGORITHM), ours];
        let answer = connection
            .call(&service("OpenSession", &arguments))
            .map_err(failed)?;
        let [Value::Variant(theirs), Value::Path(session)] = answer.as_slice() else {
            return Err(wrong("the answer to OpenSession"));
        };
        let key = theirs.as_bytes().and_then(|theirs| exchange.key(theirs));
        let answer = connection
            .call(&service("ReadAlias", &[Value::text("default")]))
            .map_err(failed)?;
        let collection = match answer.as_slice() {
            [Value::Path(path)] if path != NOTHING => path.clone(),
            _ => {
                let why = "it has no default collection: make one (with Seahorse or `secret-tool`), or keep secrets in \
                           a file (`secrets: {keep: file}`)";
                return Err(SecretError::Keyring(why.to_owned()));
            }
        };
        Ok(Self {
            id,
            collection,
            session: session.clone(),
            key: key.ok_or_else(|| wrong("the key that it agrees on"))?,
            connection: RefCell::new(connection),
        })
    }

    /// The id that tells this store's items from others'.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Every secret of this store.
    pub(crate) fn all(&self) -> Result<Vec<Kept>, SecretError> {
        let items = self.find(None)?;
        self.unlock(&items)?;
        items.iter().map(|item| self.read(item)).collect()
    }

    /// The secret of this name.
    pub(crate) fn one(&self, name: &str) -> Result<Option<Kept>, SecretError> {
        let items = self.find(Some(name))?;
        let item = match items.as_slice() {
            [] => return Ok(None),
            [item] => item,
            _ => {
                let why = format!(
                    "it holds two items for `{name}`: remove one of them, or both with `secret rm`"
                );
                return Err(SecretError::Keyring(why));
            }
        };
        self.unlock(&items)?;
        let kept = self.read(item)?;
        // Attributes are no part of what is encrypted.
        if kept.name != name {
            let why = format!(
                "the item for `{name}` holds another secret: remove it, and set `{name}` again"
            );
            return Err(SecretError::Keyring(why));
        }
        Ok(Some(kept))
    }

    pub(crate) fn has(&self, name: &str) -> Result<bool, SecretError> {
        Ok(!self.find(Some(name))?.is_empty())
    }

    pub(crate) fn is_empty(&self) -> Result<bool, SecretError> {
        Ok(self.find(None)?.is_empty())
    }

    /// Keeps a secret in place of the one of its name.
    pub(crate) fn put(&self, kept: &Kept) -> Result<(), SecretError> {
        self.unlock(std::slice::from_ref(&self.collection))?;
        let text = document::encode(std::slice::from_ref(kept)).map_err(SecretError::Keyring)?;
        let (vector, sealed) = self.key.encrypt(&text)?;
        let secret = Value::Struct(vec![
            Value::path(&self.session),
            Value::Bytes(vector),
            Value::Bytes(sealed),
            Value::text("application/json"),
        ]);
        let property = |name: &str, value: Value| {
            let name = Value::text(format!("org.freedesktop.Secret.Item.{name}"));
            Value::Entry(Box::new(name), Box::new(Value::variant(value)))
        };
        let label = format!("Bailiwick: {}", kept.name);
        let properties = vec![
            property("Label", Value::text(label)),
            property("Attributes", self.attributes(Some(&kept.name))),
        ];
        let arguments = [
            Value::Array("{sv}".to_owned(), properties),
            secret,
            Value::Bool(true),
        ];
        let collection = self.collection.as_str();
        let answer = self.call(&Call {
            to: SERVICE,
            path: collection,
            interface: "org.freedesktop.Secret.Collection",
            member: "CreateItem",
            arguments: &arguments,
        })?;
        match answer.as_slice() {
            [Value::Path(_), Value::Path(prompt)] => self.prompt(prompt),
            _ => Err(wrong("the answer to CreateItem")),
        }
    }

    /// Removes every item of this name; whether there was one.
    pub(crate) fn delete(&self, name: &str) -> Result<bool, SecretError> {
        let items = self.find(Some(name))?;
        self.unlock(&items)?;
        for item in &items {
            let answer = self.call(&self.item(item, "Delete", &[]))?;
            match answer.as_slice() {
                [Value::Path(prompt)] => self.prompt(prompt)?,
                _ => return Err(wrong("the answer to Delete")),
            }
        }
        Ok(!items.is_empty())
    }

    fn attributes(&self, name: Option<&str>) -> Value {
        let mut pairs = vec![("application", "bailiwick"), ("store", self.id.as_str())];
        pairs.extend(name.map(|name| ("name", name)));
        Value::texts(&pairs)
    }

    /// The items' paths, locked or not.
    fn find(&self, name: Option<&str>) -> Result<Vec<String>, SecretError> {
        let arguments = [self.attributes(name)];
        let answer = self.call(&service("SearchItems", &arguments))?;
        let mut found = Vec::new();
        for items in &answer {
            found.extend(
                items
                    .as_paths()
                    .ok_or_else(|| wrong("the answer to SearchItems"))?,
            );
        }
        Ok(found)
    }

    fn read(&self, item: &str) -> Result<Kept, SecretError> {
        let arguments = [Value::path(&self.session)];
        let answer = self.call(&self.item(item, "GetSecret", &arguments))?;
        let [Value::Struct(secret)] = answer.as_slice() else {
            return Err(wrong("the answer to GetSecret"));
        };
        let [_, Value::Bytes(vector), Value::Bytes(sealed), _] = secret.as_slice() else {
            return Err(wrong("the answer to GetSecret"));
        };
        let text = self
            .key
            .decrypt(vector, sealed)
            .ok_or_else(|| wrong("an item's secret"))?;
        let foreign = |why: String| {
            SecretError::Keyring(format!(
                "the item `{}` {why}: remove it, and set it again",
                item.escape_debug()
            ))
        };
        let mut kept = document::decode(&text).map_err(foreign)?;
        match (kept.pop(), kept.is_empty()) {
            (Some(one), true) => Ok(one),
            _ => Err(foreign("does not hold exactly one secret".to_owned())),
        }
    }

    /// Unlocks what is locked, by a prompt of the keyring's own if need be.
    fn unlock(&self, objects: &[String]) -> Result<(), SecretError> {
        if objects.is_empty() {
            return Ok(());
        }
        let answer = self.call(&service("Unlock", &[Value::paths(objects)]))?;
        match answer.as_slice() {
            [_, Value::Path(prompt)] => self.prompt(prompt),
            _ => Err(wrong("the answer to Unlock")),
        }
    }

    fn prompt(&self, prompt: &str) -> Result<(), SecretError> {
        if prompt == NOTHING {
            return Ok(());
        }
        let call = Call {
            to: SERVICE,
            path: prompt,
            interface: "org.freedesktop.Secret.Prompt",
            member: "Prompt",
            arguments: &[Value::text("")],
        };
        let answer = self
            .connection
            .borrow_mut()
            .call_and_wait(&call, "Completed", PERSON)
            .map_err(|error| {
                SecretError::Keyring(format!(
                    "it is locked, and asking for its password failed: {error}"
                ))
            })?;
        match answer.as_slice() {
            [Value::Bool(false), _] => Ok(()),
            [Value::Bool(true), _] => Err(SecretError::Keyring(
                "it stayed locked: unlock it and try again".to_owned(),
            )),
            _ => Err(wrong("the end of a prompt")),
        }
    }

    fn item<'a>(&self, path: &'a str, member: &'a str, arguments: &'a [Value]) -> Call<'a> {
        Call {
            to: SERVICE,
            path,
            interface: "org.freedesktop.Secret.Item",
            member,
            arguments,
        }
    }

    fn call(&self, call: &Call<'_>) -> Result<Vec<Value>, SecretError> {
        self.connection
            .borrow_mut()
            .call(call)
            .map_err(|error| SecretError::Keyring(format!("{} failed: {error}", call.member)))
    }
}

fn service<'a>(member: &'a str, arguments: &'a [Value]) -> Call<'a> {
    Call {
        to: SERVICE,
        path: ROOT,
        interface: "org.freedesktop.Secret.Service",
        member,
        arguments,
    }
}
