//! JavaScript functions that are kept, to be called from Rust.
//!
//! Called by whoever has hooks. Must not depend on what the functions do.

use std::ptr;

use napi::{Result, sys};

use super::context::throw_pending;
use super::status::{assert_ok, check};
use super::values::{Value, text, undefined};

/// A JavaScript function that is kept.
pub struct Callback {
    env: sys::napi_env,
    /// Counted once, so that the function lives as long as this does.
    reference: sys::napi_ref,
}

impl Callback {
    pub fn new(env: sys::napi_env, function: Value) -> Result<Callback> {
        let mut reference = ptr::null_mut();
        // SAFETY: `function` is a live value.
        check(unsafe { sys::napi_create_reference(env, function, 1, &mut reference) }, "not a function")?;
        Ok(Callback { env, reference })
    }

    /// The method of this name of an object.
    pub fn method(env: sys::napi_env, object: Value, name: &str) -> Result<Callback> {
        let key = text(env, name)?;
        let mut function = ptr::null_mut();
        // SAFETY: both are live values.
        check(unsafe { sys::napi_get_property(env, object, key, &mut function) }, name)?;
        Callback::new(env, function)
    }

    /// Calls it. What it throws becomes an uncaught exception, and `None` is returned.
    pub fn call(&self, arguments: &[Value]) -> Option<Value> {
        let (mut function, mut result) = (ptr::null_mut(), ptr::null_mut());
        let this = undefined(self.env);
        // SAFETY: the reference was made in `new` and not deleted.
        assert_ok(unsafe { sys::napi_get_reference_value(self.env, self.reference, &mut function) });
        // SAFETY: on the JavaScript thread, within a scope; the arguments are live values. What is no function is
        // refused.
        let status = unsafe {
            sys::napi_call_function(
                self.env,
                this,
                function,
                arguments.len(),
                arguments.as_ptr(),
                &mut result,
            )
        };
        if status != sys::Status::napi_ok {
            throw_pending(self.env);
            return None;
        }
        Some(result)
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        // SAFETY: made in `new`, deleted once, on the JavaScript thread.
        assert_ok(unsafe { sys::napi_delete_reference(self.env, self.reference) });
    }
}
