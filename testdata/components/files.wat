;; Every operation of wasi:filesystem that takes a path, as a tool that does nothing of its own: `dir` counts
;; the preopened directories, errors are the numbers of wasi:filesystem's error-code.
(component
  (import "wasi:filesystem/types@0.2.0" (instance $types
    (export "descriptor" (type $descriptor (sub resource)))
    (type $path-flags' (flags "symlink-follow"))
    (export "path-flags" (type $path-flags (eq $path-flags')))
    (type $open-flags' (flags "create" "directory" "exclusive" "truncate"))
    (export "open-flags" (type $open-flags (eq $open-flags')))
    (type $descriptor-flags' (flags "read" "write" "file-integrity-sync" "data-integrity-sync"
      "requested-write-sync" "mutate-directory"))
    (export "descriptor-flags" (type $descriptor-flags (eq $descriptor-flags')))
    (type $error-code' (enum "access" "would-block" "already" "bad-descriptor" "busy" "deadlock" "quota" "exist"
      "file-too-large" "illegal-byte-sequence" "in-progress" "interrupted" "invalid" "io"
      "is-directory" "loop" "too-many-links" "message-size" "name-too-long" "no-device"
      "no-entry" "no-lock" "insufficient-memory" "insufficient-space" "not-directory"
      "not-empty" "not-recoverable" "unsupported" "no-tty" "no-such-device" "overflow"
      "not-permitted" "pipe" "read-only" "invalid-seek" "text-file-busy" "cross-device"))
    (export "error-code" (type $error-code (eq $error-code')))
    (export "[method]descriptor.open-at" (func
      (param "self" (borrow $descriptor)) (param "path-flags" $path-flags) (param "path" string)
      (param "open-flags" $open-flags) (param "flags" $descriptor-flags)
      (result (result (own $descriptor) (error $error-code)))))
    (export "[method]descriptor.read" (func
      (param "self" (borrow $descriptor)) (param "length" u64) (param "offset" u64)
      (result (result (tuple (list u8) bool) (error $error-code)))))
    (export "[method]descriptor.write" (func
      (param "self" (borrow $descriptor)) (param "buffer" (list u8)) (param "offset" u64)
      (result (result u64 (error $error-code)))))
    (export "directory-entry-stream" (type $directory-entry-stream (sub resource)))
    (export "[method]descriptor.read-directory" (func
      (param "self" (borrow $descriptor))
      (result (result (own $directory-entry-stream) (error $error-code)))))
    (export "[method]descriptor.link-at" (func
      (param "self" (borrow $descriptor)) (param "old-path-flags" $path-flags) (param "old-path" string) (param "new-descriptor" (borrow $descriptor)) (param "new-path" string)
      (result (result (error $error-code)))))
    (export "[method]descriptor.rename-at" (func
      (param "self" (borrow $descriptor)) (param "old-path" string) (param "new-descriptor" (borrow $descriptor)) (param "new-path" string)
      (result (result (error $error-code)))))
    (export "[method]descriptor.symlink-at" (func
      (param "self" (borrow $descriptor)) (param "old-path" string) (param "new-path" string)
      (result (result (error $error-code)))))
    (export "[method]descriptor.unlink-file-at" (func
      (param "self" (borrow $descriptor)) (param "path" string)
      (result (result (error $error-code)))))
    (export "[method]descriptor.create-directory-at" (func
      (param "self" (borrow $descriptor)) (param "path" string)
      (result (result (error $error-code)))))
  ))
  (alias export $types "descriptor" (type $descriptor))
  (import "wasi:filesystem/preopens@0.2.0" (instance $preopens
    (alias outer 1 $descriptor (type $outer))
    (export "descriptor" (type $descriptor (eq $outer)))
    (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))
  ))

  ;; Memory, and an allocator that only ever moves forward: every call gets a fresh instance.
  (core module $libc
    (memory (export "memory") 2)
    (global $heap (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32)
      (local $start i32)
      (local.set $start
        (i32.and
          (i32.add (global.get $heap) (i32.sub (local.get $align) (i32.const 1)))
          (i32.sub (i32.const 0) (local.get $align))))
      (global.set $heap (i32.add (local.get $start) (local.get $size)))
      (block $enough
        (loop $grow
          (br_if $enough
            (i32.le_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536))))
          (br_if $grow (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
        unreachable)
      (local.get $start)))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))

  (core func $get-directories (canon lower (func $preopens "get-directories") (memory $memory) (realloc $realloc)))
  (core func $open-at (canon lower (func $types "[method]descriptor.open-at") (memory $memory) (realloc $realloc)))
  (core func $read (canon lower (func $types "[method]descriptor.read") (memory $memory) (realloc $realloc)))
  (core func $write (canon lower (func $types "[method]descriptor.write") (memory $memory) (realloc $realloc)))
  (core func $read-directory (canon lower (func $types "[method]descriptor.read-directory") (memory $memory) (realloc $realloc)))
  (core func $link-at (canon lower (func $types "[method]descriptor.link-at") (memory $memory) (realloc $realloc)))
  (core func $rename-at (canon lower (func $types "[method]descriptor.rename-at") (memory $memory) (realloc $realloc)))
  (core func $symlink-at (canon lower (func $types "[method]descriptor.symlink-at") (memory $memory) (realloc $realloc)))
  (core func $unlink-file-at (canon lower (func $types "[method]descriptor.unlink-file-at") (memory $memory) (realloc $realloc)))
  (core func $create-directory-at (canon lower (func $types "[method]descriptor.create-directory-at") (memory $memory) (realloc $realloc)))

  (core module $main
    (import "libc" "memory" (memory 2))
    (import "host" "get-directories" (func $get-directories (param i32)))
    (import "host" "open-at" (func $open-at (param i32 i32 i32 i32 i32 i32 i32)))
    (import "host" "read" (func $read (param i32 i64 i64 i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i64 i32)))
    (import "host" "read-directory" (func $read-directory (param i32 i32)))
    (import "host" "link-at" (func $link-at (param i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "host" "rename-at" (func $rename-at (param i32 i32 i32 i32 i32 i32 i32)))
    (import "host" "symlink-at" (func $symlink-at (param i32 i32 i32 i32 i32 i32)))
    (import "host" "unlink-file-at" (func $unlink-file-at (param i32 i32 i32 i32)))
    (import "host" "create-directory-at" (func $create-directory-at (param i32 i32 i32 i32)))

    ;; The handle of a preopened directory; traps where there is none.
    (func $dir (param $n i32) (result i32)
      (call $get-directories (i32.const 1040))
      (if (i32.ge_u (local.get $n) (i32.load (i32.const 1044))) (then unreachable))
      (i32.load (i32.add (i32.load (i32.const 1040)) (i32.mul (local.get $n) (i32.const 12)))))

    (func (export "preopens") (result i32)
      (local $from i32) (local $to i32) (local $end i32)
      (call $get-directories (i32.const 1040))
      (local.set $from (i32.load (i32.const 1040)))
      (local.set $end (i32.add (local.get $from) (i32.mul (i32.load (i32.const 1044)) (i32.const 12))))
      (local.set $to (local.get $from))
      (i32.store (i32.const 1024) (local.get $from))
      (i32.store (i32.const 1028) (i32.load (i32.const 1044)))
      ;; From (handle, pointer, length) to (pointer, length), in place.
      (block $done
        (loop $next
          (br_if $done (i32.ge_u (local.get $from) (local.get $end)))
          (i32.store (local.get $to) (i32.load offset=4 (local.get $from)))
          (i32.store offset=4 (local.get $to) (i32.load offset=8 (local.get $from)))
          (local.set $from (i32.add (local.get $from) (i32.const 12)))
          (local.set $to (i32.add (local.get $to) (i32.const 8)))
          (br $next)))
      (i32.const 1024))

    (func (export "read") (param $dir i32) (param $at i32) (param $len i32) (param $flags i32) (result i32)
      (call $open-at (call $dir (local.get $dir)) (i32.const 1) (local.get $at) (local.get $len)
        (i32.const 0) (local.get $flags) (i32.const 1024))
      (if (i32.load8_u (i32.const 1024)) (then (return (i32.const 1024))))
      (call $read (i32.load (i32.const 1028)) (i64.const 65536) (i64.const 0) (i32.const 1024))
      (i32.const 1024))

    (func (export "write") (param $dir i32) (param $at i32) (param $len i32) (param $text i32) (param $text-len i32)
      (param $open i32) (param $flags i32) (result i32)
      (call $open-at (call $dir (local.get $dir)) (i32.const 1) (local.get $at) (local.get $len)
        (local.get $open) (local.get $flags) (i32.const 1024))
      (i32.store8 (i32.const 1088) (i32.load8_u (i32.const 1024)))
      (i32.store8 (i32.const 1089) (i32.load8_u (i32.const 1028)))
      (if (i32.load8_u (i32.const 1024)) (then (return (i32.const 1088))))
      (call $write (i32.load (i32.const 1028)) (local.get $text) (local.get $text-len) (i64.const 0)
        (i32.const 1024))
      (i32.store8 (i32.const 1088) (i32.load8_u (i32.const 1024)))
      (i32.store8 (i32.const 1089) (i32.load8_u (i32.const 1032)))
      (i32.const 1088))

    (func (export "list") (param $dir i32) (result i32)
      (call $read-directory (call $dir (local.get $dir)) (i32.const 1024))
      (i32.store8 (i32.const 1025) (i32.load8_u (i32.const 1028)))
      (i32.const 1024))

    (func (export "link") (param i32 i32 i32 i32 i32 i32) (result i32)
      (call $link-at (call $dir (local.get 0)) (i32.const 0) (local.get 1) (local.get 2)
        (call $dir (local.get 3)) (local.get 4) (local.get 5) (i32.const 1024))
      (i32.const 1024))
    (func (export "rename") (param i32 i32 i32 i32 i32 i32) (result i32)
      (call $rename-at (call $dir (local.get 0)) (local.get 1) (local.get 2)
        (call $dir (local.get 3)) (local.get 4) (local.get 5) (i32.const 1024))
      (i32.const 1024))
    (func (export "symlink") (param i32 i32 i32 i32 i32) (result i32)
      (call $symlink-at (call $dir (local.get 0)) (local.get 1) (local.get 2) (local.get 3) (local.get 4)
        (i32.const 1024))
      (i32.const 1024))
    (func (export "remove") (param i32 i32 i32) (result i32)
      (call $unlink-file-at (call $dir (local.get 0)) (local.get 1) (local.get 2) (i32.const 1024))
      (i32.const 1024))
    (func (export "mkdir") (param i32 i32 i32) (result i32)
      (call $create-directory-at (call $dir (local.get 0)) (local.get 1) (local.get 2) (i32.const 1024))
      (i32.const 1024)))

  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "get-directories" (func $get-directories))
      (export "open-at" (func $open-at))
      (export "read" (func $read))
      (export "write" (func $write))
      (export "read-directory" (func $read-directory))
      (export "link-at" (func $link-at))
      (export "rename-at" (func $rename-at))
      (export "symlink-at" (func $symlink-at))
      (export "unlink-file-at" (func $unlink-file-at))
      (export "create-directory-at" (func $create-directory-at))))))

  (func (export "preopens") (result (list string))
    (canon lift (core func $main "preopens") (memory $memory) (realloc $realloc)))
  (func (export "read") (param "dir" u32) (param "path" string) (param "flags" u8)
    (result (result (tuple (list u8) bool) (error u8)))
    (canon lift (core func $main "read") (memory $memory) (realloc $realloc)))
  (func (export "write") (param "dir" u32) (param "path" string) (param "text" string) (param "open" u8)
    (param "flags" u8) (result (result (error u8)))
    (canon lift (core func $main "write") (memory $memory) (realloc $realloc)))
  (func (export "list") (param "dir" u32) (result (result (error u8)))
    (canon lift (core func $main "list") (memory $memory) (realloc $realloc)))
  (func (export "link") (param "dir" u32) (param "old" string) (param "new-dir" u32) (param "new" string)
    (result (result (error u8)))
    (canon lift (core func $main "link") (memory $memory) (realloc $realloc)))
  (func (export "rename") (param "dir" u32) (param "old" string) (param "new-dir" u32) (param "new" string)
    (result (result (error u8)))
    (canon lift (core func $main "rename") (memory $memory) (realloc $realloc)))
  (func (export "symlink") (param "dir" u32) (param "target" string) (param "path" string)
    (result (result (error u8)))
    (canon lift (core func $main "symlink") (memory $memory) (realloc $realloc)))
  (func (export "remove") (param "dir" u32) (param "path" string) (result (result (error u8)))
    (canon lift (core func $main "remove") (memory $memory) (realloc $realloc)))
  (func (export "mkdir") (param "dir" u32) (param "path" string) (result (result (error u8)))
    (canon lift (core func $main "mkdir") (memory $memory) (realloc $realloc))))
