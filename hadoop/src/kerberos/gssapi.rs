//! MIT's GSSAPI library, loaded when it is first needed: names, credentials, contexts.

#![expect(unsafe_code, reason = "calls a C library; everything outside of this file is given safe types")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

/// The library's name, which is the same on all distributions.
const LIBRARY: &str = "libgssapi_krb5.so.2";

/// Kerberos, as mechanism; and how its principals are written. Both are encoded object identifiers.
const MECHANISM: &[u8] = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";
const PRINCIPAL_NAME: &[u8] = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02\x01";

/// Results whose upper half is zero are none that have failed.
const ERRORS: u32 = 0xffff_0000;
/// The server has to answer.
const CONTINUE_NEEDED: u32 = 1;
const CREDENTIALS_EXPIRED: u32 = 11 << 16;
/// A message came twice, is older than those that are remembered, came late, or one before it is missing.
const OUT_OF_SEQUENCE: u32 = 2 | 4 | 8 | 16;

/// Mutual authentication, no replays, in sequence, confidentiality, integrity.
const FLAGS: u32 = 2 | 4 | 8 | 16 | 32;
const INDEFINITE: u32 = u32::MAX;
const INITIATE: c_int = 1;
const GSS_CODE: c_int = 1;
const MECHANISM_CODE: c_int = 2;

/// What the library says when it can't do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// The mechanism's own number; 0 when it has none.
    pub(super) code: i32,
    /// In words.
    pub(super) text: String,
    /// Whether the credentials have expired.
    pub(super) is_expired: bool,
}

/// A principal, as the library keeps it.
struct Name(*mut c_void);

/// A ticket, or the keys to get one.
pub(super) struct Credential(*mut c_void);

// SAFETY: MIT's credentials have a lock of their own.
unsafe impl Send for Credential {}

/// One end of a connection on which both sides prove who they are.
pub(super) struct Context {
    context: *mut c_void,
    target: Name,
    credential: Credential,
}

// SAFETY: the library keeps nothing of a context in threads; it may not be used by two at once, which `&mut` sees to.
unsafe impl Send for Context {}

/// A keytab, and the cache for the tickets that it brings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Store<'a> {
    pub(super) keytab: &'a str,
    pub(super) cache: &'a str,
}

#[repr(C)]
struct Buffer {
    length: usize,
    value: *mut c_void,
}

#[repr(C)]
struct Oid {
    length: u32,
    elements: *const c_void,
}

#[repr(C)]
struct Element {
    key: *const c_char,
    value: *const c_char,
}

#[repr(C)]
struct Set {
    count: u32,
    elements: *const Element,
}

type Minor = *mut u32;
type Handle = *mut c_void;

/// The functions that are used, as `gssapi.h` and `gssapi_ext.h` declare them.
struct Library {
    import_name: unsafe extern "C" fn(Minor, *mut Buffer, *const Oid, *mut Handle) -> u32,
    display_name: unsafe extern "C" fn(Minor, Handle, *mut Buffer, *mut *const Oid) -> u32,
    release_name: unsafe extern "C" fn(Minor, *mut Handle) -> u32,
    acquire_cred_from: unsafe extern "C" fn(
        Minor,
        Handle,
        u32,
        *const c_void,
        c_int,
        *const Set,
        *mut Handle,
        *mut *const c_void,
        *mut u32,
    ) -> u32,
    inquire_cred: unsafe extern "C" fn(Minor, Handle, *mut Handle, *mut u32, *mut c_int, *mut *const c_void) -> u32,
    release_cred: unsafe extern "C" fn(Minor, *mut Handle) -> u32,
    init_sec_context: unsafe extern "C" fn(
        Minor,
        Handle,
        *mut Handle,
        Handle,
        *const Oid,
        u32,
        u32,
        *const c_void,
        *mut Buffer,
        *mut *const Oid,
        *mut Buffer,
        *mut u32,
        *mut u32,
    ) -> u32,
    delete_sec_context: unsafe extern "C" fn(Minor, *mut Handle, *mut Buffer) -> u32,
    wrap: unsafe extern "C" fn(Minor, Handle, c_int, u32, *mut Buffer, *mut c_int, *mut Buffer) -> u32,
    unwrap: unsafe extern "C" fn(Minor, Handle, *mut Buffer, *mut Buffer, *mut c_int, *mut u32) -> u32,
    display_status: unsafe extern "C" fn(Minor, u32, c_int, *const Oid, *mut u32, *mut Buffer) -> u32,
    release_buffer: unsafe extern "C" fn(Minor, *mut Buffer) -> u32,
    /// Keeps the functions where they are.
    _library: libloading::Library,
}

impl Library {
    fn load() -> Result<Library, libloading::Error> {
        // SAFETY: the library has no constructors that need anything of this process.
        let library = unsafe { libloading::Library::new(LIBRARY) }?;
        macro_rules! function {
            ($name:literal) => {{
                // SAFETY: the type is that of the C declaration, and the library stays loaded with what points into it.
                unsafe { *library.get($name)? }
            }};
        }
        Ok(Library {
            import_name: function!(b"gss_import_name"),
            display_name: function!(b"gss_display_name"),
            release_name: function!(b"gss_release_name"),
            acquire_cred_from: function!(b"gss_acquire_cred_from"),
            inquire_cred: function!(b"gss_inquire_cred"),
            release_cred: function!(b"gss_release_cred"),
            init_sec_context: function!(b"gss_init_sec_context"),
            delete_sec_context: function!(b"gss_delete_sec_context"),
            wrap: function!(b"gss_wrap"),
            unwrap: function!(b"gss_unwrap"),
            display_status: function!(b"gss_display_status"),
            release_buffer: function!(b"gss_release_buffer"),
            _library: library,
        })
    }
}

/// The library, or why it can't be loaded.
fn library() -> Result<&'static Library, Failure> {
    static LOADED: OnceLock<Result<Library, String>> = OnceLock::new();
    let loaded = LOADED.get_or_init(|| Library::load().map_err(|error| error.to_string()));
    loaded.as_ref().map_err(|error| {
        let text = format!(
            "MIT's Kerberos can't be loaded ({error}); install the package libgssapi-krb5-2 (Debian, Ubuntu) or \
             krb5-libs (Fedora, Red Hat)"
        );
        Failure { code: 0, text, is_expired: false }
    })
}

/// An identifier that lives as long as the program.
fn oid(bytes: &'static [u8]) -> Oid {
    Oid { length: bytes.len() as u32, elements: bytes.as_ptr().cast() }
}

impl Buffer {
    /// Bytes that are lent to a call, which doesn't write to them.
    fn lent(bytes: &[u8]) -> Buffer {
        Buffer { length: bytes.len(), value: bytes.as_ptr().cast_mut().cast() }
    }

    /// For bytes that a call makes.
    fn empty() -> Buffer {
        Buffer { length: 0, value: null_mut() }
    }

    /// The bytes that a call has made.
    fn take(mut self, library: &Library) -> Vec<u8> {
        if self.value.is_null() {
            return Vec::new();
        }
        // SAFETY: the library has filled the buffer: `value` has `length` bytes, until they are released.
        let bytes = unsafe { std::slice::from_raw_parts(self.value.cast::<u8>(), self.length) }.to_vec();
        // SAFETY: the library has allocated the buffer, and it isn't used afterwards.
        unsafe { (library.release_buffer)(&mut 0, &mut self) };
        bytes
    }
}

/// What a result means.
fn check(library: &Library, major: u32, minor: u32) -> Result<(), Failure> {
    if major & ERRORS == 0 {
        return Ok(());
    }
    let of_mechanism = if minor == 0 { String::new() } else { status(library, minor, MECHANISM_CODE) };
    let text = if of_mechanism.is_empty() { status(library, major, GSS_CODE) } else { of_mechanism };
    let is_expired = major & ERRORS == CREDENTIALS_EXPIRED;
    Err(Failure { code: minor as i32, text, is_expired })
}

/// A number in words.
fn status(library: &Library, value: u32, kind: c_int) -> String {
    let (mechanism, mut more, mut said) = (oid(MECHANISM), 0, Vec::new());
    loop {
        let mut text = Buffer::empty();
        // SAFETY: all pointers are to values that live until the call returns.
        let major = unsafe { (library.display_status)(&mut 0, value, kind, &mechanism, &mut more, &mut text) };
        said.push(String::from_utf8_lossy(&text.take(library)).into_owned());
        if major & ERRORS != 0 || more == 0 {
            return said.join(", ");
        }
    }
}

impl Name {
    fn new(library: &Library, principal: &str) -> Result<Name, Failure> {
        let (mut minor, mut name) = (0, null_mut());
        let (mut text, kind) = (Buffer::lent(principal.as_bytes()), oid(PRINCIPAL_NAME));
        // SAFETY: all pointers are to values that live until the call returns; the library copies text and kind.
        let major = unsafe { (library.import_name)(&mut minor, &mut text, &kind, &mut name) };
        check(library, major, minor).map(|()| Name(name))
    }

    fn text(&self, library: &Library) -> Result<String, Failure> {
        let (mut minor, mut text) = (0, Buffer::empty());
        // SAFETY: the name is one that the library has made.
        let major = unsafe { (library.display_name)(&mut minor, self.0, &mut text, null_mut()) };
        check(library, major, minor).map(|()| String::from_utf8_lossy(&text.take(library)).into_owned())
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        if let (Ok(library), false) = (library(), self.0.is_null()) {
            // SAFETY: the library has made the name, and nothing uses it afterwards.
            unsafe { (library.release_name)(&mut 0, &mut self.0) };
        }
    }
}

impl Credential {
    /// The tickets of the default cache; or those that a keytab brings a principal, which takes no call to the KDC
    /// until they are needed.
    pub(super) fn acquire(principal: Option<&str>, store: Option<Store<'_>>) -> Result<Credential, Failure> {
        let library = library()?;
        let name = principal.map(|principal| Name::new(library, principal)).transpose()?;
        let texts =
            store.map_or([None; 2], |store| [Some((c"client_keytab", store.keytab)), Some((c"ccache", store.cache))]);
        let texts: Vec<(CString, CString)> = texts
            .into_iter()
            .flatten()
            .map(|(key, value)| Ok((key.to_owned(), CString::new(value)?)))
            .collect::<Result<_, std::ffi::NulError>>()
            .map_err(|_| Failure { code: 0, text: "a name with a zero byte".to_owned(), is_expired: false })?;
        let elements: Vec<Element> =
            texts.iter().map(|(key, value)| Element { key: key.as_ptr(), value: value.as_ptr() }).collect();
        let set = Set { count: elements.len() as u32, elements: elements.as_ptr() };
        let set = if elements.is_empty() { null() } else { &raw const set };
        let (mut minor, mut credential) = (0, null_mut());
        // SAFETY: all pointers are null where that is allowed, or to values that live until the call returns; the
        // library copies what it keeps.
        let major = unsafe {
            (library.acquire_cred_from)(
                &mut minor,
                name.as_ref().map_or(null_mut(), |name| name.0),
                INDEFINITE,
                null(),
                INITIATE,
                set,
                &mut credential,
                null_mut(),
                null_mut(),
            )
        };
        check(library, major, minor).map(|()| Credential(credential))
    }

    /// Whose they are, and for how many seconds they last.
    pub(super) fn describe(&self) -> Result<(String, u32), Failure> {
        let library = library()?;
        let (mut minor, mut name, mut seconds) = (0, null_mut(), 0);
        // SAFETY: the credential is one that the library has made; what isn't asked for is null.
        let major =
            unsafe { (library.inquire_cred)(&mut minor, self.0, &mut name, &mut seconds, null_mut(), null_mut()) };
        let name = Name(name);
        check(library, major, minor)?;
        Ok((name.text(library)?, seconds))
    }
}

impl Drop for Credential {
    fn drop(&mut self) {
        if let (Ok(library), false) = (library(), self.0.is_null()) {
            // SAFETY: the library has made the credential, and nothing uses it afterwards.
            unsafe { (library.release_cred)(&mut 0, &mut self.0) };
        }
    }
}

impl Context {
    /// For a connection to a service, by its principal.
    pub(super) fn new(credential: Credential, service: &str) -> Result<Context, Failure> {
        let target = Name::new(library()?, service)?;
        Ok(Context { context: null_mut(), target, credential })
    }

    /// What to say, after what the other side has said; and whether both are known now. The first step asks the KDC,
    /// which takes as long as `krb5.conf` lets it.
    pub(super) fn step(&mut self, said: &[u8]) -> Result<(Vec<u8>, bool), Failure> {
        let library = library()?;
        let (mut minor, mut said, mut answer, mechanism) = (0, Buffer::lent(said), Buffer::empty(), oid(MECHANISM));
        // SAFETY: all handles were made by the library, or the context is null as it is to be at first; all pointers
        // are null where that is allowed, or to values that live until the call returns.
        let major = unsafe {
            (library.init_sec_context)(
                &mut minor,
                self.credential.0,
                &mut self.context,
                self.target.0,
                &mechanism,
                FLAGS,
                INDEFINITE,
                null(),
                &mut said,
                null_mut(),
                &mut answer,
                null_mut(),
                null_mut(),
            )
        };
        let answer = answer.take(library);
        check(library, major, minor)?;
        Ok((answer, major & CONTINUE_NEEDED == 0))
    }

    /// Seals a message, and hides it if it is to be encrypted.
    pub(super) fn wrap(&mut self, message: &[u8], encrypts: bool) -> Result<Vec<u8>, Failure> {
        let library = library()?;
        let (mut minor, mut message, mut sealed, mut is_hidden) = (0, Buffer::lent(message), Buffer::empty(), 0);
        // SAFETY: the context was made by the library, and all pointers are to values that live until the call returns.
        let major = unsafe {
            let encrypts = c_int::from(encrypts);
            (library.wrap)(&mut minor, self.context, encrypts, 0, &mut message, &mut is_hidden, &mut sealed)
        };
        let sealed = sealed.take(library);
        check(library, major, minor)?;
        if encrypts && is_hidden == 0 {
            return Err(Failure { code: 0, text: "the library doesn't encrypt".to_owned(), is_expired: false });
        }
        Ok(sealed)
    }

    /// Opens a sealed message; and whether it was encrypted. Errors when it isn't the one that follows: the library
    /// only mentions that.
    pub(super) fn unwrap(&mut self, sealed: &[u8]) -> Result<(Vec<u8>, bool), Failure> {
        let library = library()?;
        let (mut minor, mut sealed, mut message, mut was_hidden) = (0, Buffer::lent(sealed), Buffer::empty(), 0);
        // SAFETY: as above.
        let major = unsafe {
            (library.unwrap)(&mut minor, self.context, &mut sealed, &mut message, &mut was_hidden, null_mut())
        };
        let message = message.take(library);
        check(library, major, minor)?;
        if major & OUT_OF_SEQUENCE != 0 {
            let text = "it was repeated, or one before it is missing".to_owned();
            return Err(Failure { code: 0, text, is_expired: false });
        }
        Ok((message, was_hidden != 0))
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        if let (Ok(library), false) = (library(), self.context.is_null()) {
            // SAFETY: the library has made the context, and nothing uses it afterwards.
            unsafe { (library.delete_sec_context)(&mut 0, &mut self.context, null_mut()) };
        }
    }
}
