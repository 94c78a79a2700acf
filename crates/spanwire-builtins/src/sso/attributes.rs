//! Attributes of users and of sessions: one, or several at once.

use serde_json::{Map, Value, json};
use spanwire_service::{Context, ServiceError};
use spanwire_sso::Secret;
use spanwire_sso::{AttributeInput, AttributeView, Call, Code, Operation, Scope, SsoError};

use super::answer::{expiry, time};
use super::input::{self, Input, bad};
use super::{Work, done};

pub(super) fn prepare(
    operation: Operation,
    ctx: &Context,
    call: Call,
    input: &Input,
) -> Result<Work, ServiceError> {
    use Operation as Op;
    let is_session = matches!(
        operation,
        Op::SessionAttrCreate
            | Op::SessionAttrUpdate
            | Op::SessionAttrSet
            | Op::SessionAttrDelete
            | Op::SessionAttrGet
            | Op::SessionAttrExists
            | Op::SessionAttrNames
    );
    let (token, scope) = match is_session {
        false => (input.token(ctx, "ust")?, Scope::User(input.given("user_id")?)),
        true => {
            let target = Secret::new(input.text("target_ust")?.unwrap_or_default());
            (input.token(ctx, "current_ust")?, Scope::Session(target))
        }
    };
    let wanted = Wanted::read(input)?;
    Ok(match operation {
        Op::UserAttrCreate | Op::SessionAttrCreate => Box::new(move |sso| {
            sso.create_attributes(&call, &token, &scope, &wanted.inputs()?).map(done)
        }),
        Op::UserAttrUpdate | Op::SessionAttrUpdate => Box::new(move |sso| {
            sso.update_attributes(&call, &token, &scope, &wanted.inputs()?).map(done)
        }),
        Op::UserAttrSet | Op::SessionAttrSet => Box::new(move |sso| {
            sso.set_attributes(&call, &token, &scope, &wanted.inputs()?).map(done)
        }),
        Op::UserAttrDelete | Op::SessionAttrDelete => Box::new(move |sso| {
            sso.delete_attributes(&call, &token, &scope, &wanted.names()?).map(done)
        }),
        Op::UserAttrGet | Op::SessionAttrGet => {
            let decrypts = input.flag("decrypt")?.unwrap_or(true);
            Box::new(move |sso| {
                let names = wanted.names()?;
                let found = sso.attributes(&call, &token, &scope, &names, decrypts)?;
                Ok(wanted.shown(&names, found))
            })
        }
        Op::UserAttrExists | Op::SessionAttrExists => Box::new(move |sso| {
            let names = wanted.names()?;
            let exist = sso.attributes_exist(&call, &token, &scope, &names)?;
            let result: Value = match wanted {
                Wanted::One(_) => exist.first().copied().unwrap_or_default().into(),
                _ => Value::Object(
                    names.into_iter().zip(exist.into_iter().map(Value::Bool)).collect(),
                ),
            };
            Ok([("result".to_owned(), result)].into_iter().collect())
        }),
        _ => Box::new(move |sso| {
            let names = sso.attribute_names(&call, &token, &scope)?;
            Ok([("result".to_owned(), json!(names))].into_iter().collect())
        }),
    })
}

/// What is asked for: one by its name, or what is in `data`.
enum Wanted {
    One(Box<AttributeInput>),
    Many(Vec<AttributeInput>),
    Nothing,
}

impl Wanted {
    fn read(input: &Input) -> Result<Self, ServiceError> {
        if input.given("name")?.is_some() {
            return Ok(Self::One(Box::new(item(input.fields())?)));
        }
        match input.fields().get("data") {
            None | Some(Value::Null) => Ok(Self::Nothing),
            Some(Value::Array(items)) => {
                let read = |value: &Value| match value {
                    Value::String(name) => {
                        Ok(AttributeInput { name: name.clone(), ..AttributeInput::default() })
                    }
                    Value::Object(fields) => item(fields),
                    _ => Err(bad()),
                };
                items.iter().map(read).collect::<Result<_, _>>().map(Self::Many)
            }
            Some(Value::String(name)) => Ok(Self::Many(vec![AttributeInput {
                name: name.clone(),
                ..AttributeInput::default()
            }])),
            Some(_) => Err(bad()),
        }
    }

    fn inputs(&self) -> Result<Vec<AttributeInput>, SsoError> {
        match self {
            // Whose it is says the whole input, not the item.
            Self::One(one) => Ok(vec![AttributeInput { user_id: None, ..(**one).clone() }]),
            Self::Many(many) => Ok(many.clone()),
            Self::Nothing => Err(SsoError::Refused(Code::InvalidInput)),
        }
    }

    fn names(&self) -> Result<Vec<String>, SsoError> {
        Ok(self.inputs()?.into_iter().map(|input| input.name).collect())
    }

    fn shown(&self, names: &[String], found: Vec<Option<AttributeView>>) -> Map<String, Value> {
        match self {
            Self::One(_) => match found.into_iter().next().flatten() {
                Some(found) => view(&found),
                None => [("found".to_owned(), false.into())].into_iter().collect(),
            },
            _ => {
                let values =
                    found.iter().map(|it| it.as_ref().map_or(Value::Null, |it| view(it).into()));
                let by_name: Map<_, _> = names.iter().cloned().zip(values).collect();
                [("result".to_owned(), Value::Object(by_name))].into_iter().collect()
            }
        }
    }
}

fn item(fields: &Map<String, Value>) -> Result<AttributeInput, ServiceError> {
    let text = |key: &str| match fields.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(bad()),
    };
    let expiration = fields.get("expiration").map(input::integer).transpose()?.flatten();
    Ok(AttributeInput {
        name: text("name")?.unwrap_or_default(),
        value: fields.get("value").cloned(),
        // Zero and less leave it as it is.
        expiration: expiration.and_then(|seconds| u64::try_from(seconds).ok()),
        encrypt: fields.get("encrypt").filter(|it| !it.is_null()).map(input::flag).transpose()?,
        user_id: text("user_id")?.filter(|id| !id.is_empty()),
    })
}

fn view(found: &AttributeView) -> Map<String, Value> {
    let fields = json!({
        "found": true, "name": found.name, "value": found.value, "creation_time": time(found.creation_time),
        "last_modified": time(found.last_modified), "expiration_time": expiry(found.expiration_time),
        "is_encrypted": found.is_encrypted,
    });
    fields.as_object().cloned().unwrap_or_default()
}
