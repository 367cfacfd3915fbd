//! How the event loop enters JavaScript.
//!
//! Called by whatever the loop calls back. Must not depend on what is done there.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

use napi::{Env, JsValue, Result, sys};

use super::status::check;
use super::values::text;

/// An async context, so that hooks, promises and `nextTick` behave as after any other callback of Node.
pub struct Context {
    env: sys::napi_env,
    context: sys::napi_async_context,
}

impl Context {
    /// `held` is asked whether the event loop is kept alive for this context.
    ///
    /// A context lives as long as its environment, so that tools which list what is still open (as Jest does) would
    /// list it for ever: they leave out what has a method `hasRef` that returns `false`.
    pub fn new(env: sys::napi_env, name: &str, held: Rc<Cell<bool>>) -> Result<Context> {
        let safe_env = Env::from_raw(env);
        let has_ref =
            safe_env.create_function_from_closure::<(), bool, _>("hasRef", move |_| Ok(held.get()))?;
        let name = text(env, name)?;
        let (mut resource, mut kept, mut context) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: called from JavaScript, with live values. Node holds the resource weakly, hence the reference.
        unsafe {
            check(sys::napi_create_object(env, &mut resource), "no async resource")?;
            let method = sys::napi_set_named_property(env, resource, c"hasRef".as_ptr(), has_ref.raw());
            check(method, "no async resource")?;
            check(sys::napi_create_reference(env, resource, 1, &mut kept), "no async resource")?;
            check(sys::napi_async_init(env, resource, name, &mut context), "no async context")?;
        }
        Ok(Context { env, context })
    }

    /// Runs `act` inside a callback scope: at its end Node runs what is due (`nextTick`, promises).
    ///
    /// A panic would unwind into libuv; it becomes an uncaught exception instead.
    pub fn enter(&self, act: impl FnOnce()) {
        let mut handles = ptr::null_mut();
        let mut scope = ptr::null_mut();
        // SAFETY: on the JavaScript thread, called by libuv; both scopes are closed below, in order.
        unsafe {
            if sys::napi_open_handle_scope(self.env, &mut handles) != sys::Status::napi_ok {
                return;
            }
            let opened = sys::napi_open_callback_scope(self.env, ptr::null_mut(), self.context, &mut scope);
            if opened == sys::Status::napi_ok {
                if catch_unwind(AssertUnwindSafe(act)).is_err() {
                    report_panic(self.env);
                }
                // What `nextTick` or a promise throws meanwhile is pending afterwards.
                sys::napi_close_callback_scope(self.env, scope);
                throw_pending(self.env);
            }
            sys::napi_close_handle_scope(self.env, handles);
        }
    }
}

fn report_panic(env: sys::napi_env) {
    let Ok(message) = text(env, "@parallelizer/node: internal error (a panic in native code)") else {
        return;
    };
    let mut error = ptr::null_mut();
    // SAFETY: `message` is a live string.
    unsafe {
        if sys::napi_create_error(env, ptr::null_mut(), message, &mut error) == sys::Status::napi_ok {
            sys::napi_fatal_exception(env, error);
        }
    }
}

/// Reports an exception that nobody caught as Node reports every other; left alone, it would vanish.
pub fn throw_pending(env: sys::napi_env) {
    let mut pending = false;
    let mut error = ptr::null_mut();
    // SAFETY: on the JavaScript thread; the exception is handed over to Node.
    unsafe {
        if sys::napi_is_exception_pending(env, &mut pending) == sys::Status::napi_ok
            && pending
            && sys::napi_get_and_clear_last_exception(env, &mut error) == sys::Status::napi_ok
        {
            sys::napi_fatal_exception(env, error);
        }
    }
}
