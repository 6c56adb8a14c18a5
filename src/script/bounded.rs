//! Functions of Rhai that could outgrow the limits, the stack or the time a script has, in versions
//! that look first.
//!
//! Rhai compares a value with the limits when a function has made it, and the depth of a value with
//! nothing. So what can multiply (`replace`, `pad`) is measured before; what goes down into values
//! (text, comparison) counts how deep; what calls a closure in a place that loses its errors
//! (`sort`) keeps them; and every variable that is used is looked at: a closure that captures a
//! closure that captures a closure… would overflow the stack when it is dropped.

use std::{cmp::Ordering, fmt::Write as _, sync::Arc};

use rhai::{
    Array, Dynamic, Engine, EvalAltResult, FLOAT, FnPtr, INT, ImmutableString, Map, NativeCallContext, Position,
};

use super::{Failure, Watch};

/// How deep values may nest: arrays, object maps, and what closures capture.
pub const DEPTH: usize = 64;

/// How many values one look at a variable goes through.
const WIDTH: usize = 50_000;

type Result<T> = std::result::Result<T, Box<EvalAltResult>>;

pub(super) fn register(engine: &mut Engine, watch: &Arc<Watch>) {
    look_at_variables(engine, watch);
    register_strings(engine);
    register_arrays(engine);
    register_sorting(engine);
    register_text(engine);
    register_comparison(engine);
}

#[expect(deprecated, reason = "how Rhai marks its volatile interfaces; tests/hosting watches them")]
fn look_at_variables(engine: &mut Engine, watch: &Arc<Watch>) {
    let watch = Arc::clone(watch);
    engine.on_var(move |name, _, context| {
        let Some(value) = context.scope().get(name) else { return Ok(None) };
        match look(value, DEPTH, &mut 0) {
            Ok(()) => Ok(None),
            Err(Unfit::Deep) => Err(watch.fail(
                Failure::new(format!("`{name}` nests more than {DEPTH} levels deep"))
                    .help("arrays, object maps and the variables that closures capture count"),
            )),
            Err(Unfit::Wide) => Err(watch.fail(Failure::new(format!("`{name}` captures too many values")))),
            // Rhai would wait a while, and then raise an error that a script can catch and cause again.
            Err(Unfit::InUse) => Err(watch.fail(
                Failure::new(format!("`{name}` is in use by the call that is under way"))
                    .help("copy the value into another variable before the call"),
            )),
        }
    });
}

/// What is wrong with a value.
enum Unfit {
    Deep,
    Wide,
    InUse,
}

fn look(value: &Dynamic, depth: usize, seen: &mut usize) -> std::result::Result<(), Unfit> {
    if value.is_shared() {
        let inner = value.read_lock::<Dynamic>().ok_or(Unfit::InUse)?;
        return look(&inner, depth, seen);
    }
    let go = |inner: &mut dyn Iterator<Item = &Dynamic>, seen: &mut usize| {
        let depth = depth.checked_sub(1).ok_or(Unfit::Deep)?;
        for value in inner {
            *seen += 1;
            if *seen > WIDTH {
                return Err(Unfit::Wide);
            }
            look(value, depth, seen)?;
        }
        Ok(())
    };
    if let Some(array) = value.read_lock::<Array>() {
        return go(&mut array.iter(), seen);
    }
    if let Some(map) = value.read_lock::<Map>() {
        return go(&mut map.values(), seen);
    }
    if let Some(function) = value.read_lock::<FnPtr>() {
        return go(&mut function.iter_curry(), seen);
    }
    Ok(())
}

/// Whether a value nests deeper than [`DEPTH`].
pub(super) fn is_deep(value: &Dynamic) -> bool {
    look(value, DEPTH, &mut 0).is_err()
}

fn register_strings(engine: &mut Engine) {
    engine.register_fn("replace", |c: NativeCallContext, text: &mut ImmutableString, find: &str, with: &str| {
        replace(&c, text, find, with)
    });
    engine.register_fn("replace", |c: NativeCallContext, text: &mut ImmutableString, find: &str, with: char| {
        replace(&c, text, find, with.encode_utf8(&mut [0; 4]))
    });
    engine.register_fn("replace", |c: NativeCallContext, text: &mut ImmutableString, find: char, with: &str| {
        replace(&c, text, find.encode_utf8(&mut [0; 4]), with)
    });
    engine.register_fn("replace", |c: NativeCallContext, text: &mut ImmutableString, find: char, with: char| {
        replace(&c, text, find.encode_utf8(&mut [0; 4]), with.encode_utf8(&mut [0; 4]))
    });
    engine.register_fn("pad", |c: NativeCallContext, text: &mut ImmutableString, length: INT, with: &str| {
        pad_string(&c, text, length, with)
    });
    engine.register_fn("pad", |c: NativeCallContext, text: &mut ImmutableString, length: INT, with: char| {
        pad_string(&c, text, length, with.encode_utf8(&mut [0; 4]))
    });
}

fn replace(context: &NativeCallContext, text: &mut ImmutableString, find: &str, with: &str) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let found = text.matches(find).count();
    let size = (text.len() - found * find.len()).saturating_add(found.saturating_mul(with.len()));
    string_fits(context, size)?;
    *text = text.replace(find, with).into();
    Ok(())
}

fn pad_string(context: &NativeCallContext, text: &mut ImmutableString, length: INT, with: &str) -> Result<()> {
    let length = usize::try_from(length).unwrap_or(0);
    let missing = length.saturating_sub(text.chars().count());
    if missing == 0 {
        return Ok(());
    }
    string_fits(context, length)?;
    if with.is_empty() {
        // Rhai's own never comes to an end here.
        return Err(Failure::new("a string cannot be padded with an empty one").into());
    }
    let (whole, rest) = (missing / with.chars().count(), missing % with.chars().count());
    let rest = with.char_indices().nth(rest).map_or("", |(end, _)| &with[..end]);
    *text = format!("{text}{}{rest}", with.repeat(whole)).into();
    Ok(())
}

fn string_fits(context: &NativeCallContext, size: usize) -> Result<()> {
    fits("length of string", size, context.engine().max_string_size())
}

fn fits(what: &str, size: usize, limit: usize) -> Result<()> {
    if size <= limit {
        return Ok(());
    }
    Err(EvalAltResult::ErrorDataTooLarge(what.to_owned(), Position::NONE).into())
}

fn register_arrays(engine: &mut Engine) {
    engine.register_fn("pad", |c: NativeCallContext, array: &mut Array, length: INT, item: Dynamic| -> Result<()> {
        let length = usize::try_from(length).unwrap_or(0);
        let missing = length.saturating_sub(array.len());
        if missing == 0 {
            return Ok(());
        }
        // Rhai's own multiplies first, and overflows.
        fits("size of array", length, c.engine().max_array_size())?;
        let item_size = size(&item);
        let all = size_of_all(array.iter()).plus(&item_size.times(missing));
        fits("size of array", all.elements, c.engine().max_array_size())?;
        fits("size of object map", all.entries, c.engine().max_map_size())?;
        string_fits(&c, all.bytes)?;
        array.resize(length, item);
        Ok(())
    });
    engine.register_fn("contains", |c: NativeCallContext, array: &mut Array, value: Dynamic| {
        position(&c, array, &value, 0).map(|found| found.is_some())
    });
    engine.register_fn("index_of", |c: NativeCallContext, array: &mut Array, value: Dynamic| {
        position(&c, array, &value, 0).map(index)
    });
    engine.register_fn("index_of", |c: NativeCallContext, array: &mut Array, value: Dynamic, start: INT| {
        let length = INT::try_from(array.len()).unwrap_or(INT::MAX);
        // From the end, when it is negative.
        let start = if start < 0 { start.saturating_add(length).max(0) } else { start };
        position(&c, array, &value, usize::try_from(start).unwrap_or(usize::MAX)).map(index)
    });
}

fn index(found: Option<usize>) -> INT {
    found.and_then(|at| INT::try_from(at).ok()).unwrap_or(-1)
}

/// Rhai's own copies `value` for each item.
fn position(context: &NativeCallContext, array: &Array, value: &Dynamic, start: usize) -> Result<Option<usize>> {
    for (at, item) in array.iter().enumerate().skip(start) {
        if equal(context, item, value, DEPTH)? {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// The size of a value as Rhai counts it.
#[derive(Default)]
struct Size {
    elements: usize,
    entries: usize,
    bytes: usize,
}

impl Size {
    fn plus(&self, other: &Self) -> Self {
        Self {
            elements: self.elements.saturating_add(other.elements),
            entries: self.entries.saturating_add(other.entries),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    fn times(&self, count: usize) -> Self {
        Self {
            elements: self.elements.saturating_add(1).saturating_mul(count),
            entries: self.entries.saturating_mul(count),
            bytes: self.bytes.saturating_mul(count),
        }
    }
}

fn size(value: &Dynamic) -> Size {
    if let Some(array) = value.read_lock::<Array>() {
        return size_of_all(array.iter());
    }
    if let Some(map) = value.read_lock::<Map>() {
        let values = size_of_all(map.values());
        return Size { elements: values.elements - map.len(), entries: values.entries + map.len(), ..values };
    }
    let bytes = value.read_lock::<ImmutableString>().map_or(0, |text| text.len());
    Size { bytes, ..Size::default() }
}

fn size_of_all<'a>(values: impl Iterator<Item = &'a Dynamic>) -> Size {
    values.fold(Size::default(), |sum, value| sum.plus(&size(value).times(1)))
}

fn register_sorting(engine: &mut Engine) {
    fn by_function(context: &NativeCallContext, array: &Array, comparer: &FnPtr) -> Result<Array> {
        sort(array.clone(), &mut |a, b| {
            let order = comparer.call_raw(context, None, [a.clone(), b.clone()])?;
            if let Ok(order) = order.as_int() {
                return Ok(order.cmp(&0));
            }
            match order.as_bool() {
                Ok(true) => Ok(Ordering::Less),
                Ok(false) => Ok(Ordering::Greater),
                Err(found) => Err(Failure::new(format!(
                    "the function that compares has to return a number below, at or above 0, or a boolean, found {found}"
                ))
                .into()),
            }
        })
    }
    fn by_value(array: &Array, descending: bool) -> Result<Array> {
        sort(array.clone(), &mut |a, b| {
            let order = natural(a, b)?;
            Ok(if descending { order.reverse() } else { order })
        })
    }
    for name in ["sort", "sort_by"] {
        engine.register_fn(name, |c: NativeCallContext, array: &mut Array, comparer: FnPtr| -> Result<()> {
            *array = by_function(&c, array, &comparer)?;
            Ok(())
        });
    }
    for name in ["order", "order_by"] {
        engine.register_fn(name, |c: NativeCallContext, array: &mut Array, comparer: FnPtr| {
            by_function(&c, array, &comparer)
        });
    }
    engine.register_fn("sort", |c: NativeCallContext, array: &mut Array, comparer: &str| -> Result<()> {
        *array = by_function(&c, array, &FnPtr::new(comparer)?)?;
        Ok(())
    });
    for (name, descending) in [("sort", false), ("sort_desc", true)] {
        engine.register_fn(name, move |array: &mut Array| -> Result<()> {
            *array = by_value(array, descending)?;
            Ok(())
        });
    }
    for (name, descending) in [("order", false), ("order_desc", true)] {
        engine.register_fn(name, move |array: &mut Array| by_value(array, descending));
    }
}

/// Merges halves. The sort of the standard library has no way to end early, and panics when the
/// function that compares contradicts itself.
fn sort(mut items: Array, compare: &mut impl FnMut(&Dynamic, &Dynamic) -> Result<Ordering>) -> Result<Array> {
    if items.len() < 2 {
        return Ok(items);
    }
    let right = items.split_off(items.len() / 2);
    let left = sort(items, compare)?;
    let right = sort(right, compare)?;
    let mut merged = Array::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        // Equal ones stay in their order.
        let next = if compare(a, b)? == Ordering::Greater { right.next() } else { left.next() };
        merged.extend(next);
    }
    merged.extend(left);
    merged.extend(right);
    Ok(merged)
}

/// The order of two values of one simple type.
fn natural(a: &Dynamic, b: &Dynamic) -> Result<Ordering> {
    fn both<T: Clone + Send + Sync + 'static>(
        a: &Dynamic,
        b: &Dynamic,
        order: impl Fn(&T, &T) -> Ordering,
    ) -> Option<Ordering> {
        Some(order(&*a.read_lock::<T>()?, &*b.read_lock::<T>()?))
    }
    let order = both::<INT>(a, b, Ord::cmp)
        .or_else(|| both::<ImmutableString>(a, b, Ord::cmp))
        .or_else(|| both::<FLOAT>(a, b, FLOAT::total_cmp))
        .or_else(|| both::<char>(a, b, Ord::cmp))
        .or_else(|| both::<bool>(a, b, Ord::cmp))
        .or_else(|| both::<()>(a, b, Ord::cmp));
    order.ok_or_else(|| {
        Failure::new("only numbers, strings, characters or booleans of one type have an order of their own")
            .help("give `sort` a function that compares: |a, b| a.name < b.name")
            .into()
    })
}

fn register_text(engine: &mut Engine) {
    for name in ["print", "to_string", "debug", "to_debug"] {
        engine.register_fn(name, |c: NativeCallContext, array: &mut Array| -> Result<ImmutableString> {
            let mut text = String::new();
            write_array(&c, array, DEPTH, &mut text)?;
            Ok(text.into())
        });
        engine.register_fn(name, |c: NativeCallContext, map: &mut Map| -> Result<ImmutableString> {
            let mut text = String::new();
            write_map(&c, map, DEPTH, &mut text)?;
            Ok(text.into())
        });
    }
}

fn write_array(context: &NativeCallContext, array: &Array, depth: usize, text: &mut String) -> Result<()> {
    text.push('[');
    for (index, item) in array.iter().enumerate() {
        text.push_str(if index > 0 { ", " } else { "" });
        write_value(context, item, depth, text)?;
    }
    text.push(']');
    Ok(())
}

fn write_map(context: &NativeCallContext, map: &Map, depth: usize, text: &mut String) -> Result<()> {
    text.push_str("#{");
    for (index, (key, item)) in map.iter().enumerate() {
        // A string takes everything.
        let _ = write!(text, "{}{key:?}: ", if index > 0 { ", " } else { "" });
        write_value(context, item, depth, text)?;
    }
    text.push('}');
    Ok(())
}

fn write_value(context: &NativeCallContext, value: &Dynamic, depth: usize, text: &mut String) -> Result<()> {
    string_fits(context, text.len())?;
    let depth = deeper(depth)?;
    if let Some(array) = value.read_lock::<Array>() {
        return write_array(context, &array, depth, text);
    }
    if let Some(map) = value.read_lock::<Map>() {
        return write_map(context, &map, depth, text);
    }
    text.push_str(&context.call_native_fn::<ImmutableString>("to_debug", (value.flatten_clone(),))?);
    Ok(())
}

fn deeper(depth: usize) -> Result<usize> {
    let failure = || Failure::new(format!("the value nests more than {DEPTH} levels deep")).into();
    depth.checked_sub(1).ok_or_else(failure)
}

fn register_comparison(engine: &mut Engine) {
    engine.register_fn("==", |c: NativeCallContext, a: &mut Array, b: Array| equal_arrays(&c, a, &b, DEPTH));
    engine.register_fn("!=", |c: NativeCallContext, a: &mut Array, b: Array| -> Result<bool> {
        Ok(!equal_arrays(&c, a, &b, DEPTH)?)
    });
    engine.register_fn("==", |c: NativeCallContext, a: &mut Map, b: Map| equal_maps(&c, a, &b, DEPTH));
    engine.register_fn("!=", |c: NativeCallContext, a: &mut Map, b: Map| -> Result<bool> {
        Ok(!equal_maps(&c, a, &b, DEPTH)?)
    });
}

fn equal(context: &NativeCallContext, a: &Dynamic, b: &Dynamic, depth: usize) -> Result<bool> {
    let depth = deeper(depth)?;
    if let (Some(a), Some(b)) = (a.read_lock::<Array>(), b.read_lock::<Array>()) {
        return equal_arrays(context, &a, &b, depth);
    }
    if let (Some(a), Some(b)) = (a.read_lock::<Map>(), b.read_lock::<Map>()) {
        return equal_maps(context, &a, &b, depth);
    }
    let (a, b) = (a.flatten_clone(), b.flatten_clone());
    let of_one_type = a.type_id() == b.type_id();
    match context.call_native_fn::<bool>("==", (a, b)) {
        // Values of different types are different, unless somebody has said how to compare them.
        Err(error) if !of_one_type && matches!(*error, EvalAltResult::ErrorFunctionNotFound(..)) => Ok(false),
        result => result,
    }
}

fn equal_arrays(context: &NativeCallContext, a: &Array, b: &Array, depth: usize) -> Result<bool> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (a, b) in a.iter().zip(b) {
        if !equal(context, a, b, depth)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn equal_maps(context: &NativeCallContext, a: &Map, b: &Map, depth: usize) -> Result<bool> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for ((name, a), (other, b)) in a.iter().zip(b) {
        if name != other || !equal(context, a, b, depth)? {
            return Ok(false);
        }
    }
    Ok(true)
}
