"""Sits at a terminal: starts a command on one, types, and waits for what it prints.

Arguments: a JSON list of steps, then the command. Steps: ["see", text], ["type", text], ["size", rows, columns],
["signal", name] (to the command), ["modes"] (the terminal's own are as at the start), ["pause", seconds].
The last line printed is JSON: its exit status, the step that failed if one did, and all that was printed.
"""
import fcntl, json, os, pty, select, signal, struct, sys, termios, time

PATIENCE = 60
steps = json.loads(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    # With job control around it, as under a person's shell.
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        os.tcsetpgrp(0, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        time.sleep(0.2)
        os.execvp(sys.argv[2], sys.argv[2:])
    before = termios.tcgetattr(0)
    while True:
        _, status = os.waitpid(child, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            break
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        os.tcsetpgrp(0, os.getpgrp())
        same = termios.tcgetattr(0) == before
        os.write(1, b"[outside: paused, modes %s]\n" % (b"restored" if same else b"CHANGED"))
        os.read(0, 100)
        os.tcsetpgrp(0, child)
        os.killpg(child, signal.SIGCONT)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(0, os.getpgrp())
    same = termios.tcgetattr(0) == before
    os.write(1, b"[outside: ended, modes %s]\n" % (b"restored" if same else b"CHANGED"))
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)

printed, seen, failed = b"", 0, None


def size(rows, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def listen():
    global printed
    if select.select([terminal], [], [], 0.1)[0]:
        try:
            printed += os.read(terminal, 4096)
        except OSError:
            return False
    return True


size(24, 80)
for step in steps:
    kind, rest = step[0], step[1:]
    if kind == "type":
        os.write(terminal, rest[0].encode())
    elif kind == "size":
        size(*rest)
    elif kind == "pause":
        end = time.time() + rest[0]
        while time.time() < end:
            listen()
    elif kind == "see":
        wanted, end = rest[0].encode(), time.time() + PATIENCE
        while wanted not in printed[seen:] and time.time() < end and listen():
            pass
        if wanted not in printed[seen:]:
            failed = step
            break
        seen = printed.index(wanted, seen) + len(wanted)
end = time.time() + (1 if failed else PATIENCE)
status = None
while time.time() < end:
    listen()
    ended, raw = os.waitpid(pid, os.WNOHANG)
    if ended:
        status = os.waitstatus_to_exitcode(raw)
        while select.select([terminal], [], [], 0)[0] and listen():
            if not select.select([terminal], [], [], 0)[0]:
                break
        break
else:
    os.kill(pid, signal.SIGKILL)
print(json.dumps({"status": status, "failed": failed, "printed": printed.decode(errors="replace")}))
