//! The choice between assembly and portable code, once for each multiplication. Not for what they
//! compute.

/// Calls a function that is generic over the backend with the best backend of this processor.
macro_rules! dispatch {
    ($function:ident($($argument:expr),*)) => {{
        #[cfg(target_arch = "x86_64")]
        if $crate::field::assembly_is_supported() {
            $function::<$crate::field::Assembly>($($argument),*)
        } else {
            $function::<$crate::field::Portable>($($argument),*)
        }
        #[cfg(not(target_arch = "x86_64"))]
        $function::<$crate::field::Portable>($($argument),*)
    }};
}
pub(crate) use dispatch;
