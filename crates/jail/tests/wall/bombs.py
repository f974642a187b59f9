# Takes one thing without end, up to an amount that no machine minds, and holds it: `bombs.py NAME AMOUNT [PLACE]`.
# Says `took` once it has everything, and `held` when nobody has stopped it for long.
import mmap, os, signal, socket, sys, threading, time

name, amount = sys.argv[1], int(sys.argv[2])
place = sys.argv[3] if len(sys.argv) > 3 else "/tmp"
PAGE, kept = 4096, []


def children(count, work):
    for index in range(count):
        if os.fork() == 0:
            work(index)
            time.sleep(1000)
            os._exit(0)
    time.sleep(0.5)


def touch(area, size):
    for at in range(0, size, PAGE):
        area[at] = 1


def shared():
    area = mmap.mmap(-1, amount)
    touch(area, amount)
    kept.append(area)


def file(path, size):
    with open(path, "wb", buffering=0) as out:
        while size > 0:
            size -= out.write(b"x" * min(size, 1 << 20))


def fill(descriptor):
    os.set_blocking(descriptor, False)
    taken = 0
    try:
        while taken < 1 << 30:
            taken += os.write(descriptor, b"x" * 65536)
    except OSError:
        return taken


def private():
    kept.append(b"x" * amount)


def by_children():
    children(8, lambda _: kept.append(b"x" * (amount // 8)))


def hidden():
    # Nobody's child: two forks and a session of its own, deaf to every signal that one can be deaf to.
    def hide(_):
        os.setsid()
        if os.fork() == 0:
            for number in range(1, 32):
                try:
                    signal.signal(number, signal.SIG_IGN)
                except OSError:
                    pass
            kept.append(b"x" * (amount // 4))
            time.sleep(1000)
        os._exit(0)

    children(4, hide)


def sockets():
    taken = 0
    while taken < amount:
        pair = socket.socketpair()
        kept.append(pair)
        taken += fill(pair[0].fileno()) + fill(pair[1].fileno())


def pipes():
    taken = 0
    while taken < amount:
        pipe = os.pipe()
        kept.append(pipe)
        taken += fill(pipe[1])


def tables():
    # A page of page table for each two megabytes of nothing.
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000
    area = mmap.mmap(-1, amount // PAGE << 21, flags=flags, prot=mmap.PROT_READ)
    for at in range(0, len(area), 1 << 21):
        area[at]
    kept.append(area)


def memory_file():
    descriptor = os.memfd_create("x", 8)
    for _ in range(amount >> 20):
        os.write(descriptor, b"x" * (1 << 20))
    kept.append(descriptor)


def scratch():
    for number in range(amount >> 20):
        file(f"{place}/{number}", 1 << 20)


def forks():
    children(amount, lambda _: None)


def threads():
    for _ in range(amount):
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()


def descriptors():
    for _ in range(amount):
        kept.append(os.open("/dev/null", os.O_RDONLY))


def watches():
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    for _ in range(amount):
        if libc.inotify_init() < 0:
            raise OSError(ctypes.get_errno())


def spin():
    # None of them takes all of it.
    stop = time.monotonic() + 20

    def work(_):
        while time.monotonic() < stop:
            pass
        os._exit(0)

    children(3, work)
    for _ in range(3):
        os.wait()


def one_file():
    file(f"{place}/one", amount)


def many_files():
    for number in range(amount >> 16):
        file(f"{place}/{number}", 1 << 16)


def files_of_orphans():
    def write(index):
        if os.fork() == 0:
            file(f"{place}/{index}", amount // 8)
            # Long enough that somebody may see it.
            time.sleep(0.5)
        os._exit(0)

    children(8, write)


try:
    globals()[name]()
except (OSError, MemoryError, RuntimeError) as refused:
    # Held, so that it can be looked at.
    print("refused", type(refused).__name__, len(kept), flush=True)
    time.sleep(1.5)
    os._exit(3)
print("took", flush=True)
if len(sys.argv) > 4:
    os._exit(0)
time.sleep(20)
print("held", flush=True)
os._exit(0)
