/* Using up what others need as well. Each stops a little above the bound that it probes, so that it can be run without
   a wall; what it got hold of is counted from outside. */
#include "probe.h"
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>

static void most(int what) {
    struct rlimit limit;
    getrlimit(what, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(what, &limit);
}

static void forks(char **a) {
    for (int made = 0; made < atoi(a[0]); made++) {
        pid_t child = fork();
        if (child < 0) break;
        if (!child) linger();
    }
    hold();
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
}

static void *sleep_long(void *nothing) {
    (void)nothing;
    sleep(60);
    return NULL;
}

static void threads(char **a) {
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    for (int made = 0; made < atoi(a[0]); made++) {
        pthread_t thread;
        if (pthread_create(&thread, &small, sleep_long, NULL)) break;
    }
    hold();
}

/* Dead and not waited for: they take numbers, and nothing else. */
static void zombies(char **a) {
    for (int made = 0; made < atoi(a[0]); made++) {
        pid_t child = fork();
        if (child < 0) break;
        if (!child) _exit(0);
    }
    hold();
}

static int touch_(size_t size, int flags, int fd) {
    char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (at == MAP_FAILED) return -1;
    madvise(at, size, MADV_HUGEPAGE);
    for (size_t i = 0; i < size; i += 4096) at[i] = 1;
    return 0;
}

/* `memory PROCESSES MEGABYTES-EACH`. */
static void memory(char **a) {
    int many = atoi(a[0]), ends[2];
    TRY(pipe(ends));
    for (int made = 0; made < many; made++) {
        if (fork() == 0) {
            if (touch_((size_t)atoi(a[1]) << 20, MAP_PRIVATE | MAP_ANONYMOUS, -1)) _exit(1);
            if (write(ends[1], "x", 1) < 0) _exit(1);
            linger();
        }
    }
    close(ends[1]);
    char byte;
    for (int made = 0; made < many; made++)
        if (read(ends[0], &byte, 1) < 1) break;
    hold();
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
}

static void shared_memory(char **a) {
    TRY(touch_((size_t)atoi(a[0]) << 20, MAP_SHARED | MAP_ANONYMOUS, -1));
    hold();
}

static void memory_files(char **a) {
    for (int i = 0; i < atoi(a[0]); i += 32) {
        int fd = TRY(syscall(SYS_memfd_create, "x", 8));
        TRY(fallocate(fd, 0, 0, 32 << 20));
    }
    hold();
}

static void locked(char **a) {
    size_t size = (size_t)atoi(a[0]) << 20;
    char *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) fail("mmap");
    TRY(mlock(at, size));
    hold();
}

static void scratch(char **a) {
    char path[600];
    for (int i = 0; i < atoi(a[1]); i += 32) {
        snprintf(path, sizeof path, "%s/%s.%d", a[0], mark, i);
        int fd = TRY(open(path, O_RDWR | O_CREAT, 0600));
        TRY(fallocate(fd, 0, 0, 32 << 20));
        TRY(unlink(path)); /* held by the descriptor alone: it goes with the process */
    }
    hold();
}

static void big_file(char **a) {
    int fd = TRY(open(a[0], O_WRONLY | O_CREAT, 0644));
    signal(SIGXFSZ, SIG_IGN);
    most(RLIMIT_FSIZE);
    TRY(pwrite(fd, "x", 1, (off_t)atol(a[1]) << 20));
}

/* Space without writing: files of 32 MiB each. */
static void disk(char **a) {
    char path[600];
    for (int i = 0; i < atoi(a[1]); i += 32) {
        snprintf(path, sizeof path, "%s/filler.%d", a[0], i);
        int fd = TRY(open(path, O_WRONLY | O_CREAT, 0600));
        TRY(fallocate(fd, 0, 0, 32 << 20));
        close(fd);
    }
    hold();
}

/* With writing, in no hurry. */
static void fill(char **a) {
    char path[600];
    static char chunk[8 << 20];
    memset(chunk, 'x', sizeof chunk);
    for (int i = 0; i < atoi(a[1]); i += 8) {
        snprintf(path, sizeof path, "%s/filler.%d", a[0], i);
        int fd = TRY(open(path, O_WRONLY | O_CREAT, 0600));
        TRY(write(fd, chunk, sizeof chunk));
        close(fd);
        usleep(50000);
    }
    hold();
}

static void descriptors_(char **a) {
    most(RLIMIT_NOFILE);
    for (int i = 0; i < atoi(a[0]); i++)
        if (eventfd(0, 0) < 0) break;
    hold();
}

static void watches(char **a) {
    (void)a;
    for (int process = 0; process < 4; process++)
        if (!fork()) {
            most(RLIMIT_NOFILE);
            for (int i = 0; i < 200; i++)
                if (inotify_init1(0) < 0) break;
            linger();
        }
    usleep(100000);
    hold();
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
}

static void pipes(char **a) {
    (void)a;
    for (int process = 0; process < 4; process++)
        if (!fork()) {
            int ends[2];
            most(RLIMIT_NOFILE);
            for (int i = 0; i < 480; i++)
                if (pipe(ends) < 0) break;
            linger();
        }
    usleep(200000);
    hold();
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
}

/* The same room by fewer and larger ones. */
static void large_pipes(char **a) {
    (void)a;
    int ends[2];
    most(RLIMIT_NOFILE);
    for (int i = 0; i < 120; i++) {
        TRY(pipe(ends));
        if (fcntl(ends[0], F_SETPIPE_SZ, 1 << 20) < 0) break;
    }
    hold();
}

/* Pipes that no process has, on their way in sockets. */
static void hidden_pipes(char **a) {
    (void)a;
    for (int process = 0; process < 8; process++)
        if (!fork()) {
            most(RLIMIT_NOFILE);
            for (int i = 0; i < 250; i++) {
                int ends[2], pair[2];
                if (pipe(ends) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) break;
                char control[CMSG_SPACE(sizeof(int))], byte = 'x';
                struct iovec part = {&byte, 1};
                struct msghdr message = {
                    .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
                struct cmsghdr *first = CMSG_FIRSTHDR(&message);
                first->cmsg_level = SOL_SOCKET, first->cmsg_type = SCM_RIGHTS, first->cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(first), &ends[0], sizeof(int));
                if (sendmsg(pair[0], &message, MSG_DONTWAIT) < 0) linger();
                close(ends[0]), close(ends[1]), close(pair[0]);
            }
            linger();
        }
    usleep(300000);
    hold();
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
}

/* Descriptors on the way: sent, and never received. */
static void passing(char **a) {
    (void)a;
    int many[200];
    for (int i = 0; i < 200; i++) many[i] = 0;
    char control[CMSG_SPACE(sizeof many)], byte = 'x';
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *first = CMSG_FIRSTHDR(&message);
    first->cmsg_level = SOL_SOCKET, first->cmsg_type = SCM_RIGHTS, first->cmsg_len = CMSG_LEN(sizeof many);
    memcpy(CMSG_DATA(first), many, sizeof many);
    most(RLIMIT_NOFILE);
    for (int i = 0; i < 400; i++) {
        int pair[2];
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) break;
        if (sendmsg(pair[0], &message, MSG_DONTWAIT) < 0) break;
    }
    hold();
}

static void signals(char **a) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    for (int i = 0; i < atoi(a[0]); i++)
        if (sigqueue(getpid(), SIGRTMIN, (union sigval){0}) < 0) break;
    hold();
}

static void timers(char **a) {
    struct sigevent quiet = {.sigev_notify = SIGEV_NONE};
    for (int i = 0; i < atoi(a[0]); i++) {
        timer_t timer;
        if (timer_create(CLOCK_MONOTONIC, &quiet, &timer) < 0) break;
    }
    hold();
}

static void locks(char **a) {
    for (int i = 0; i < atoi(a[1]); i++) {
        struct flock one = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 2 * i, .l_len = 1};
        static int fd = -1;
        if (fd < 0) fd = TRY(open(a[0], O_RDONLY));
        TRY(fcntl(fd, F_SETLK, &one));
    }
    hold();
}

static void output(char **a) {
    static char chunk[1 << 16];
    memset(chunk, 'x', sizeof chunk);
    for (long i = 0; i < atol(a[0]) * 16; i++)
        if (write(1, chunk, sizeof chunk) < 0) break;
}

static void spin(char **a) {
    for (int i = 0; i < atoi(a[0]); i++)
        if (!fork()) {
            alarm(30);
            for (;;) {
            }
        }
    sleep(1);
    hold();
    signal(SIGTERM, SIG_IGN);
    kill(0, SIGTERM);
}

static void core(char **a) {
    TRY(chdir(a[0]));
    most(RLIMIT_CORE);
    raise(SIGABRT);
}

static void refusals(char **a) {
    char path[600];
    for (long i = 0; i < atol(a[1]); i++) {
        snprintf(path, sizeof path, "%s/%ld", a[0], i);
        if (open(path, O_RDONLY) >= 0) break;
        if (i % 64 == 0) syscall(SYS_socket, AF_NETLINK, SOCK_RAW, 0);
    }
}

const struct attack bombs[] = {{"forks", forks},
                               {"threads", threads},
                               {"zombies", zombies},
                               {"memory-of", memory},
                               {"shared-memory", shared_memory},
                               {"memory-files", memory_files},
                               {"locked", locked},
                               {"scratch", scratch},
                               {"big-file", big_file},
                               {"disk", disk},
                               {"fill", fill},
                               {"many-descriptors", descriptors_},
                               {"watches", watches},
                               {"pipes", pipes},
                               {"large-pipes", large_pipes},
                               {"hidden-pipes", hidden_pipes},
                               {"passing", passing},
                               {"pending-signals", signals},
                               {"timers", timers},
                               {"locks", locks},
                               {"output", output},
                               {"spin", spin},
                               {"core", core},
                               {"refusals", refusals},
                               {NULL, NULL}};
