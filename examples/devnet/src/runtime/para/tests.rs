mod calls;
mod layouts;
mod registration;
mod runtime_api;
mod util;
