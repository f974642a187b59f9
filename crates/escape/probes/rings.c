/* io_uring: system calls that no filter of system calls sees. And calls by the other doors of x86. */
#include "probe.h"
#include <linux/io_uring.h>
#include <stddef.h>

struct ring {
    int fd;
    struct io_uring_params p;
    char *submit, *complete;
    struct io_uring_sqe *entries;
};

static void set_up(struct ring *r) {
    memset(r, 0, sizeof *r);
    r->fd = TRY(syscall(SYS_io_uring_setup, 4, &r->p));
    size_t sq = r->p.sq_off.array + r->p.sq_entries * 4;
    size_t cq = r->p.cq_off.cqes + r->p.cq_entries * sizeof(struct io_uring_cqe);
    r->submit = mmap(NULL, sq, 3, MAP_SHARED, r->fd, IORING_OFF_SQ_RING);
    r->complete = mmap(NULL, cq, 3, MAP_SHARED, r->fd, IORING_OFF_CQ_RING);
    r->entries = mmap(NULL, r->p.sq_entries * sizeof(struct io_uring_sqe), 3, MAP_SHARED, r->fd, IORING_OFF_SQES);
    if (r->submit == MAP_FAILED || r->complete == MAP_FAILED || (void *)r->entries == MAP_FAILED) fail("mmap");
}

static long act(struct ring *r, struct io_uring_sqe entry) {
    unsigned *tail = (void *)(r->submit + r->p.sq_off.tail), at = *tail & (r->p.sq_entries - 1);
    r->entries[at] = entry;
    ((unsigned *)(r->submit + r->p.sq_off.array))[at] = at;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    TRY(syscall(SYS_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0));
    unsigned *head = (void *)(r->complete + r->p.cq_off.head);
    struct io_uring_cqe *done = (void *)(r->complete + r->p.cq_off.cqes);
    long result = done[*head & (r->p.cq_entries - 1)].res;
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    if (result < 0) errno = -result, result = -1;
    return result;
}

static void uring_hold(char **a) {
    (void)a;
    struct ring r;
    set_up(&r);
    hold();
}

static void uring_cat(char **a) {
    struct ring r;
    set_up(&r);
    struct io_uring_sqe open_ = {.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = (uintptr_t)a[0]};
    int fd = TRY(act(&r, open_));
    char text[256] = {0};
    struct io_uring_sqe read_ = {.opcode = IORING_OP_READ, .fd = fd, .addr = (uintptr_t)text, .len = 200};
    TRY(act(&r, read_));
    puts(text);
}

static void uring_local(char **a) {
    struct ring r;
    set_up(&r);
    struct io_uring_sqe make = {.opcode = IORING_OP_SOCKET, .fd = AF_UNIX, .off = SOCK_STREAM};
    int fd = TRY(act(&r, make));
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%s", a[0]);
    struct io_uring_sqe connect_ = {.opcode = IORING_OP_CONNECT, .fd = fd, .addr = (uintptr_t)&to, .off = sizeof to};
    TRY(act(&r, connect_));
    TRY(write(fd, mark, strlen(mark)));
}

static void uring_rename(char **a) {
    struct ring r;
    set_up(&r);
    struct io_uring_sqe entry = {.opcode = IORING_OP_RENAMEAT, .fd = AT_FDCWD, .len = AT_FDCWD};
    entry.addr = (uintptr_t)a[0], entry.addr2 = (uintptr_t)a[1];
    TRY(act(&r, entry));
    cat(a[1]);
}

#ifdef __x86_64__
/* Addresses must fit into 32 bits. */
static char *low(size_t size) {
    char *at = mmap(NULL, size, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (at == MAP_FAILED) fail("mmap");
    return at;
}

static long i386(long number, long b, long c, long d) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(b), "c"(c), "d"(d) : "memory", "r8", "r9", "r10", "r11");
    if ((int)result < 0) errno = -(int)result, result = -1;
    return result;
}

static void i386_cat(char **a) {
    char *text = low(8192);
    strcpy(text, a[0]);
    int fd = TRY(i386(5, (long)text, O_RDONLY, 0));
    ssize_t got = TRY(i386(3, fd, (long)text, 4096));
    fwrite(text, 1, got, stdout);
}

static void i386_local(char **a) {
    struct {
        struct sockaddr_un to;
        int words[3];
    } *room = (void *)low(4096);
    room->words[0] = AF_UNIX, room->words[1] = SOCK_STREAM, room->words[2] = 0;
    int fd = TRY(i386(102, 1, (long)room->words, 0));
    room->to.sun_family = AF_UNIX;
    strncpy(room->to.sun_path, a[0], sizeof room->to.sun_path - 1);
    room->words[0] = fd, room->words[1] = (int)(long)&room->to, room->words[2] = sizeof room->to;
    TRY(i386(102, 3, (long)room->words, 0));
    TRY(write(fd, mark, strlen(mark)));
}

static void i386_tcp(char **a) {
    struct {
        unsigned char to[16];
        int words[3];
    } *room = (void *)low(4096);
    int port = atoi(a[0]);
    memcpy(room->to, (unsigned char[]){AF_INET, 0, port >> 8, port, 127, 0, 0, 1}, 8);
    int fd = TRY(i386(359, AF_INET, SOCK_STREAM, 0));
    TRY(i386(362, fd, (long)room->to, 16));
    TRY(write(fd, mark, strlen(mark)));
}

static void x32_cat(char **a) {
    int fd = TRY(syscall(0x40000000 | SYS_open, a[0], O_RDONLY));
    cat_fd(fd);
}

static void x32_local(char **a) {
    int fd = TRY(syscall(0x40000000 | SYS_socket, AF_UNIX, SOCK_STREAM, 0));
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    snprintf(to.sun_path, sizeof to.sun_path, "%s", a[0]);
    TRY(syscall(0x40000000 | SYS_connect, fd, &to, sizeof to));
    TRY(write(fd, mark, strlen(mark)));
}

static void vsyscall(char **a) {
    (void)a;
    long (*old_time)(long *) = (void *)0xffffffffff600400;
    printf("time %ld\n", old_time(NULL));
}
#else
static void no_door(char **a) {
    (void)a;
    errno = ENOSYS;
    fail("no such door on this architecture");
}
#define i386_cat no_door
#define i386_local no_door
#define i386_tcp no_door
#define x32_cat no_door
#define x32_local no_door
#define vsyscall no_door
#endif

const struct attack rings[] = {{"uring-hold", uring_hold}, {"uring-cat", uring_cat}, {"uring-local", uring_local},
                               {"uring-rename", uring_rename}, {"i386-cat", i386_cat}, {"i386-local", i386_local},
                               {"i386-tcp", i386_tcp}, {"x32-cat", x32_cat}, {"x32-local", x32_local},
                               {"vsyscall", vsyscall}, {NULL, NULL}};
