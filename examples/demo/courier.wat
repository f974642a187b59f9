;; A plugin of one tool, `fetch`, which asks the host to send an HTTP request. It cannot connect by itself:
;; there is no socket in here, and whether the request leaves is the host's decision.
(component
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))
  ))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:io/error@0.2.0" (instance $error
    (export "error" (type (sub resource)))
  ))
  (alias export $error "error" (type $error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (alias outer 1 $error (type $outer))
    (export "error" (type $error (eq $outer)))
    (type $stream-error' (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $stream-error')))
    (export "input-stream" (type $input-stream (sub resource)))
    (export "[method]input-stream.blocking-read" (func
      (param "self" (borrow $input-stream)) (param "len" u64)
      (result (result (list u8) (error $stream-error)))))
  ))
  (alias export $streams "input-stream" (type $input-stream))
  (import "wasi:http/types@0.2.0" (instance $types
    (alias outer 1 $pollable (type $outer-pollable))
    (export "pollable" (type $pollable (eq $outer-pollable)))
    (alias outer 1 $input-stream (type $outer-stream))
    (export "input-stream" (type $input-stream (eq $outer-stream)))
    (export "fields" (type $fields (sub resource)))
    (export "request-options" (type $request-options (sub resource)))
    (export "outgoing-request" (type $outgoing-request (sub resource)))
    (export "incoming-response" (type $incoming-response (sub resource)))
    (export "incoming-body" (type $incoming-body (sub resource)))
    (export "future-incoming-response" (type $future-incoming-response (sub resource)))
    (type $method' (variant (case "get") (case "head") (case "post") (case "put") (case "delete")
      (case "connect") (case "options") (case "trace") (case "patch") (case "other" string)))
    (export "method" (type $method (eq $method')))
    (type $scheme' (variant (case "HTTP") (case "HTTPS") (case "other" string)))
    (export "scheme" (type $scheme (eq $scheme')))
    (type $dns' (record (field "rcode" (option string)) (field "info-code" (option u16))))
    (export "DNS-error-payload" (type $dns (eq $dns')))
    (type $alert' (record (field "alert-id" (option u8)) (field "alert-message" (option string))))
    (export "TLS-alert-received-payload" (type $alert (eq $alert')))
    (type $size' (record (field "field-name" (option string)) (field "field-size" (option u32))))
    (export "field-size-payload" (type $size (eq $size')))
    (type $error-code' (variant
      (case "DNS-timeout") (case "DNS-error" $dns) (case "destination-not-found")
      (case "destination-unavailable") (case "destination-IP-prohibited") (case "destination-IP-unroutable")
      (case "connection-refused") (case "connection-terminated") (case "connection-timeout")
      (case "connection-read-timeout") (case "connection-write-timeout") (case "connection-limit-reached")
      (case "TLS-protocol-error") (case "TLS-certificate-error") (case "TLS-alert-received" $alert)
      (case "HTTP-request-denied") (case "HTTP-request-length-required")
      (case "HTTP-request-body-size" (option u64)) (case "HTTP-request-method-invalid")
      (case "HTTP-request-URI-invalid") (case "HTTP-request-URI-too-long")
      (case "HTTP-request-header-section-size" (option u32)) (case "HTTP-request-header-size" (option $size))
      (case "HTTP-request-trailer-section-size" (option u32)) (case "HTTP-request-trailer-size" $size)
      (case "HTTP-response-incomplete") (case "HTTP-response-header-section-size" (option u32))
      (case "HTTP-response-header-size" $size) (case "HTTP-response-body-size" (option u64))
      (case "HTTP-response-trailer-section-size" (option u32)) (case "HTTP-response-trailer-size" $size)
      (case "HTTP-response-transfer-coding" (option string))
      (case "HTTP-response-content-coding" (option string)) (case "HTTP-response-timeout")
      (case "HTTP-upgrade-failed") (case "HTTP-protocol-error") (case "loop-detected")
      (case "configuration-error") (case "internal-error" (option string))))
    (export "error-code" (type $error-code (eq $error-code')))
    (export "[constructor]fields" (func (result (own $fields))))
    (export "[constructor]outgoing-request" (func
      (param "headers" (own $fields)) (result (own $outgoing-request))))
    (export "[method]outgoing-request.set-method" (func
      (param "self" (borrow $outgoing-request)) (param "method" $method) (result (result))))
    (export "[method]outgoing-request.set-scheme" (func
      (param "self" (borrow $outgoing-request)) (param "scheme" (option $scheme)) (result (result))))
    (export "[method]outgoing-request.set-authority" (func
      (param "self" (borrow $outgoing-request)) (param "authority" (option string)) (result (result))))
    (export "[method]outgoing-request.set-path-with-query" (func
      (param "self" (borrow $outgoing-request)) (param "path-with-query" (option string)) (result (result))))
    (export "[method]future-incoming-response.subscribe" (func
      (param "self" (borrow $future-incoming-response)) (result (own $pollable))))
    (export "[method]future-incoming-response.get" (func
      (param "self" (borrow $future-incoming-response))
      (result (option (result (result (own $incoming-response) (error $error-code)))))))
    (export "[method]incoming-response.status" (func
      (param "self" (borrow $incoming-response)) (result u16)))
    (export "[method]incoming-response.consume" (func
      (param "self" (borrow $incoming-response)) (result (result (own $incoming-body)))))
    (export "[method]incoming-body.stream" (func
      (param "self" (borrow $incoming-body)) (result (result (own $input-stream)))))
  ))
  (alias export $types "outgoing-request" (type $outgoing-request))
  (alias export $types "request-options" (type $request-options))
  (alias export $types "future-incoming-response" (type $future-incoming-response))
  (alias export $types "error-code" (type $error-code))
  (import "wasi:http/outgoing-handler@0.2.0" (instance $handler
    (alias outer 1 $outgoing-request (type $outer-request))
    (export "outgoing-request" (type $outgoing-request (eq $outer-request)))
    (alias outer 1 $request-options (type $outer-options))
    (export "request-options" (type $request-options (eq $outer-options)))
    (alias outer 1 $future-incoming-response (type $outer-future))
    (export "future-incoming-response" (type $future-incoming-response (eq $outer-future)))
    (alias outer 1 $error-code (type $outer-code))
    (export "error-code" (type $error-code (eq $outer-code)))
    (export "handle" (func
      (param "request" (own $outgoing-request)) (param "options" (option (own $request-options)))
      (result (result (own $future-incoming-response) (error $error-code)))))
  ))

  ;; Memory, and an allocator that only ever moves forward: every call gets a fresh instance.
  (core module $libc
    (memory (export "memory") 4)
    (global $heap (mut i32) (i32.const 131072))
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

  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $read
    (canon lower (func $streams "[method]input-stream.blocking-read") (memory $memory) (realloc $realloc)))
  (core func $fields (canon lower (func $types "[constructor]fields")))
  (core func $request (canon lower (func $types "[constructor]outgoing-request")))
  (core func $set-method
    (canon lower (func $types "[method]outgoing-request.set-method") (memory $memory) (realloc $realloc)))
  (core func $set-scheme
    (canon lower (func $types "[method]outgoing-request.set-scheme") (memory $memory) (realloc $realloc)))
  (core func $set-authority
    (canon lower (func $types "[method]outgoing-request.set-authority") (memory $memory) (realloc $realloc)))
  (core func $set-path
    (canon lower (func $types "[method]outgoing-request.set-path-with-query") (memory $memory) (realloc $realloc)))
  (core func $subscribe (canon lower (func $types "[method]future-incoming-response.subscribe")))
  (core func $get
    (canon lower (func $types "[method]future-incoming-response.get") (memory $memory) (realloc $realloc)))
  (core func $status (canon lower (func $types "[method]incoming-response.status")))
  (core func $consume
    (canon lower (func $types "[method]incoming-response.consume") (memory $memory)))
  (core func $stream
    (canon lower (func $types "[method]incoming-body.stream") (memory $memory)))
  (core func $handle (canon lower (func $handler "handle") (memory $memory) (realloc $realloc)))

  (core module $main
    (import "libc" "memory" (memory 2))
    (import "host" "block" (func $block (param i32)))
    (import "host" "read" (func $read (param i32 i64 i32)))
    (import "host" "fields" (func $fields (result i32)))
    (import "host" "request" (func $request (param i32) (result i32)))
    (import "host" "set-method" (func $set-method (param i32 i32 i32 i32) (result i32)))
    (import "host" "set-scheme" (func $set-scheme (param i32 i32 i32 i32 i32) (result i32)))
    (import "host" "set-authority" (func $set-authority (param i32 i32 i32 i32) (result i32)))
    (import "host" "set-path" (func $set-path (param i32 i32 i32 i32) (result i32)))
    (import "host" "subscribe" (func $subscribe (param i32) (result i32)))
    (import "host" "get" (func $get (param i32 i32)))
    (import "host" "status" (func $status (param i32) (result i32)))
    (import "host" "consume" (func $consume (param i32 i32)))
    (import "host" "stream" (func $stream (param i32 i32)))
    (import "host" "handle" (func $handle (param i32 i32 i32 i32)))
    (data (i32.const 16) "the host refused the request")
    (data (i32.const 48) "the request failed")
    (data (i32.const 80) "that is no URL")
    (data (i32.const 96) "/")

    ;; Errors stand at 1024: the tag, then pointer and length.
    (func $error (param $at i32) (param $len i32) (result i32)
      (i32.store8 (i32.const 1024) (i32.const 1))
      (i32.store (i32.const 1028) (local.get $at))
      (i32.store (i32.const 1032) (local.get $len))
      (i32.const 1024))

    ;; HTTP-request-denied is 15 and destination-IP-prohibited is 4.
    (func $explain (param $code i32) (result i32)
      (if (i32.or (i32.eq (local.get $code) (i32.const 15)) (i32.eq (local.get $code) (i32.const 4)))
        (then (return (call $error (i32.const 16) (i32.const 28)))))
      (call $error (i32.const 48) (i32.const 18)))

    ;; Where the next slash at or after $at is; $end where there is none.
    (func $slash (param $at i32) (param $end i32) (result i32)
      (block $done
        (loop $next
          (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
          (br_if $done (i32.eq (i32.load8_u (local.get $at)) (i32.const 47)))
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (br $next)))
      (local.get $at))

    (func (export "fetch") (param $method i32) (param $method-len i32) (param $url i32) (param $url-len i32) (result i32)
      (local $end i32) (local $host i32) (local $path i32) (local $tls i32) (local $request i32) (local $future i32)
      (local $response i32) (local $chunk i32)
      (local.set $end (i32.add (local.get $url) (local.get $url-len)))
      ;; `http://` has its host at 7 and `https://` at 8.
      (local.set $tls (i32.eq (i32.load8_u offset=4 (local.get $url)) (i32.const 115)))
      (local.set $host (i32.add (i32.add (local.get $url) (i32.const 7)) (local.get $tls)))
      (if (i32.ge_u (local.get $host) (local.get $end))
        (then (return (call $error (i32.const 80) (i32.const 14)))))
      (local.set $path (call $slash (local.get $host) (local.get $end)))
      (local.set $request (call $request (call $fields)))
      (drop (call $set-method (local.get $request) (i32.const 9) (local.get $method) (local.get $method-len)))
      (drop (call $set-scheme (local.get $request) (i32.const 1) (local.get $tls) (i32.const 0) (i32.const 0)))
      (if (call $set-authority (local.get $request) (i32.const 1)
            (local.get $host) (i32.sub (local.get $path) (local.get $host)))
        (then (return (call $error (i32.const 80) (i32.const 14)))))
      (if (i32.eq (local.get $path) (local.get $end))
        (then (local.set $path (i32.const 96)) (local.set $end (i32.const 97))))
      (if (call $set-path (local.get $request) (i32.const 1)
            (local.get $path) (i32.sub (local.get $end) (local.get $path)))
        (then (return (call $error (i32.const 80) (i32.const 14)))))
      ;; result<own<future>, error-code>, whose payload is aligned to 8.
      (call $handle (local.get $request) (i32.const 0) (i32.const 0) (i32.const 1040))
      (if (i32.load8_u (i32.const 1040)) (then (return (call $explain (i32.load8_u (i32.const 1048))))))
      (local.set $future (i32.load (i32.const 1048)))
      (call $block (call $subscribe (local.get $future)))
      ;; option<result<result<own<response>, error-code>>>: three tags, 8 bytes each, then the payload.
      (call $get (local.get $future) (i32.const 1040))
      (if (i32.load8_u (i32.const 1056)) (then (return (call $explain (i32.load8_u (i32.const 1064))))))
      (local.set $response (i32.load (i32.const 1064)))
      (i32.store8 (i32.const 1024) (i32.const 0))
      (i32.store16 (i32.const 1028) (call $status (local.get $response)))
      (call $consume (local.get $response) (i32.const 1040))
      (call $stream (i32.load (i32.const 1044)) (i32.const 1048))
      ;; Chunks are gathered from 65536 on, in the second page.
      (i32.store (i32.const 1032) (i32.const 65536))
      (i32.store (i32.const 1036) (i32.const 0))
      (block $done
        (loop $next
          (call $read (i32.load (i32.const 1052)) (i64.const 4096) (i32.const 1072))
          (br_if $done (i32.load8_u (i32.const 1072)))
          (local.set $chunk (i32.load (i32.const 1080)))
          (br_if $done (i32.gt_u (i32.add (i32.load (i32.const 1036)) (local.get $chunk)) (i32.const 32768)))
          (memory.copy (i32.add (i32.const 65536) (i32.load (i32.const 1036)))
            (i32.load (i32.const 1076)) (local.get $chunk))
          (i32.store (i32.const 1036) (i32.add (i32.load (i32.const 1036)) (local.get $chunk)))
          (br $next)))
      (i32.const 1024)))

  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "block" (func $block)) (export "read" (func $read)) (export "fields" (func $fields))
      (export "request" (func $request)) (export "set-method" (func $set-method))
      (export "set-scheme" (func $set-scheme)) (export "set-authority" (func $set-authority))
      (export "set-path" (func $set-path)) (export "subscribe" (func $subscribe)) (export "get" (func $get))
      (export "status" (func $status)) (export "consume" (func $consume)) (export "stream" (func $stream))
      (export "handle" (func $handle))))))

  (type $response' (record (field "status" u16) (field "body" string)))
  (export $response "response" (type $response'))
  (func (export "fetch") (param "method" string) (param "url" string) (result (result $response (error string)))
    (canon lift (core func $main "fetch") (memory $memory) (realloc $realloc))))
