;; A plugin of two tools. `word-count` needs nothing. `read-note` asks the host for files, and reaches
;; those that lie in a directory which the host has opened for it: nothing else has a name in here.
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

  (core func $get-directories
    (canon lower (func $preopens "get-directories") (memory $memory) (realloc $realloc)))
  (core func $open-at
    (canon lower (func $types "[method]descriptor.open-at") (memory $memory) (realloc $realloc)))
  (core func $read
    (canon lower (func $types "[method]descriptor.read") (memory $memory) (realloc $realloc)))

  (core module $main
    (import "libc" "memory" (memory 2))
    (import "host" "get-directories" (func $get-directories (param i32)))
    (import "host" "open-at" (func $open-at (param i32 i32 i32 i32 i32 i32 i32)))
    (import "host" "read" (func $read (param i32 i64 i64 i32)))
    (data (i32.const 16) "no directory that holds this path is open to me")
    (data (i32.const 80) "the host did not let me open it")
    (data (i32.const 128) "the host did not let me read it")

    ;; Counts the places where a word begins after white space.
    (func (export "word-count") (param $at i32) (param $len i32) (result i32)
      (local $end i32) (local $in-word i32) (local $space i32) (local $count i32)
      (local.set $end (i32.add (local.get $at) (local.get $len)))
      (block $done
        (loop $next
          (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
          (local.set $space (i32.le_u (i32.load8_u (local.get $at)) (i32.const 32)))
          (if (i32.and (i32.eqz (local.get $space)) (i32.eqz (local.get $in-word)))
            (then (local.set $count (i32.add (local.get $count) (i32.const 1)))))
          (local.set $in-word (i32.eqz (local.get $space)))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $next)))
      (local.get $count))

    ;; Whether the path at $path begins with the directory at $dir and a slash.
    (func $inside (param $path i32) (param $path-len i32) (param $dir i32) (param $dir-len i32) (result i32)
      (local $n i32)
      (if (i32.le_u (local.get $path-len) (local.get $dir-len)) (then (return (i32.const 0))))
      (block $same
        (loop $next
          (br_if $same (i32.eq (local.get $n) (local.get $dir-len)))
          (if (i32.ne (i32.load8_u (i32.add (local.get $path) (local.get $n)))
                      (i32.load8_u (i32.add (local.get $dir) (local.get $n))))
            (then (return (i32.const 0))))
          (local.set $n (i32.add (local.get $n) (i32.const 1)))
          (br $next)))
      (i32.eq (i32.load8_u (i32.add (local.get $path) (local.get $n))) (i32.const 47)))

    ;; Results stand at 1024: the tag, then pointer and length.
    (func $answer (param $tag i32) (param $at i32) (param $len i32) (result i32)
      (i32.store8 (i32.const 1024) (local.get $tag))
      (i32.store (i32.const 1028) (local.get $at))
      (i32.store (i32.const 1032) (local.get $len))
      (i32.const 1024))

    (func (export "read-note") (param $path i32) (param $len i32) (result i32)
      (local $entry i32) (local $end i32) (local $skip i32)
      ;; list<tuple<own<descriptor>, string>>: handle, pointer, length.
      (call $get-directories (i32.const 1040))
      (local.set $entry (i32.load (i32.const 1040)))
      (local.set $end
        (i32.add (local.get $entry) (i32.mul (i32.load (i32.const 1044)) (i32.const 12))))
      (block $found
        (loop $next
          (if (i32.ge_u (local.get $entry) (local.get $end))
            (then (return (call $answer (i32.const 1) (i32.const 16) (i32.const 47)))))
          (br_if $found
            (call $inside (local.get $path) (local.get $len)
              (i32.load offset=4 (local.get $entry)) (i32.load offset=8 (local.get $entry))))
          (local.set $entry (i32.add (local.get $entry) (i32.const 12)))
          (br $next)))
      (local.set $skip (i32.add (i32.load offset=8 (local.get $entry)) (i32.const 1)))
      ;; open-at(directory, symlink-follow, rest of the path, no open flags, read)
      (call $open-at (i32.load (local.get $entry)) (i32.const 1)
        (i32.add (local.get $path) (local.get $skip)) (i32.sub (local.get $len) (local.get $skip))
        (i32.const 0) (i32.const 1) (i32.const 1056))
      (if (i32.load8_u (i32.const 1056))
        (then (return (call $answer (i32.const 1) (i32.const 80) (i32.const 31)))))
      (call $read (i32.load (i32.const 1060)) (i64.const 65536) (i64.const 0) (i32.const 1072))
      (if (i32.load8_u (i32.const 1072))
        (then (return (call $answer (i32.const 1) (i32.const 128) (i32.const 31)))))
      (call $answer (i32.const 0) (i32.load (i32.const 1076)) (i32.load (i32.const 1080)))))

  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "get-directories" (func $get-directories))
      (export "open-at" (func $open-at))
      (export "read" (func $read))))))

  (func (export "word-count") (param "text" string) (result u32)
    (canon lift (core func $main "word-count") (memory $memory) (realloc $realloc)))
  (func (export "read-note") (param "path" string) (result (result string (error string)))
    (canon lift (core func $main "read-note") (memory $memory) (realloc $realloc))))
