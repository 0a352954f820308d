//! `--vary`: a setting and its values.

use anyhow::Result;
use serde_json::{Value, json};

use super::InputWrong;

/// The key and values of `key=value,value`; commas inside brackets, braces and quotes are part of a value.
pub(super) fn varied(text: &str) -> Result<(String, Vec<String>)> {
    let form = || InputWrong(format!("--vary {text}: needed: key=value,value..., as in network.depth=20,56,110"));
    let (key, rest) = text.split_once('=').ok_or_else(form)?;
    let (mut values, mut depth, mut quoted) = (vec![String::new()], 0i32, false);
    for c in rest.chars() {
        match c {
            '"' => quoted = !quoted,
            '[' | '{' if !quoted => depth += 1,
            ']' | '}' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                values.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(value) = values.last_mut() {
            value.push(c);
        }
    }
    if key.trim().is_empty() || values.iter().any(|value| value.trim().is_empty()) {
        return Err(form().into());
    }
    if let Some((_, value)) =
        values.iter().enumerate().find(|(i, value)| values[..*i].iter().any(|other| parsed(other) == parsed(value)))
    {
        return Err(InputWrong(format!("--vary {key}: the value {} is given twice", value.trim())).into());
    }
    Ok((key.trim().to_owned(), values.into_iter().map(|value| value.trim().to_owned()).collect()))
}

/// A value as JSON; a bare word becomes a string.
pub(super) fn parsed(value: &str) -> Value {
    serde_json::from_str(value).unwrap_or_else(|_| json!(value))
}

#[cfg(test)]
mod tests {
    use super::varied;

    #[test]
    fn commas_inside_a_value_belong_to_it() {
        let of = |text: &str| varied(text).unwrap();
        assert_eq!(
            of("network.depth=20, 56,110"),
            ("network.depth".into(), vec!["20".into(), "56".into(), "110".into()])
        );
        assert_eq!(of("a=[1,2],[3]").1, ["[1,2]", "[3]"]);
        assert_eq!(of(r#"a={"b":[1,2],"c":"],"},stage"#).1, [r#"{"b":[1,2],"c":"],"}"#, "stage"]);
        for wrong in ["a", "=1", "a=", "a=1,,2"] {
            assert!(varied(wrong).unwrap_err().to_string().contains("needed: key=value,value"), "{wrong}");
        }
    }
}
