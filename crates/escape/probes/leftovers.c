/* Staying alive when one should have ended. Each leaves something that carries MARK in its arguments, and beats: it
   lengthens a granted file for as long as it lives, whatever name it goes by. */
#include "probe.h"
#include <pthread.h>

static void beat(const char *path) __attribute__((noreturn));
static void beat(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    for (int i = 0; i < 1500; i++) {
        if (write(fd, ".", 1) < 0) break;
        usleep(20000);
    }
    _exit(0);
}

/* Until the first beat is seen: what has not begun proves nothing by having ended. */
static void begun(const char *path) {
    struct stat now;
    for (int i = 0; i < 200; i++) {
        if (!stat(path, &now) && now.st_size > 1) return;
        usleep(5000);
    }
    errno = ETIMEDOUT;
    fail("the one left behind did not begin");
}

static void orphan(char **a) {
    if (!TRY(fork())) beat(a[0]);
    begun(a[0]);
}

static void deaf(char **a) {
    if (!TRY(fork())) {
        for (int signal_ = 1; signal_ < 65; signal_++) signal(signal_, SIG_IGN);
        beat(a[0]);
    }
    begun(a[0]);
}

static void twice_forked(char **a) {
    if (!TRY(fork())) {
        if (!TRY(fork())) beat(a[0]);
        _exit(0);
    }
    begun(a[0]);
}

static void daemonised(char **a) {
    if (!TRY(fork())) {
        setsid();
        signal(SIGHUP, SIG_IGN);
        if (TRY(fork())) _exit(0);
        if (chdir("/")) {
        }
        for (int fd = 0; fd < 1024; fd++) close(fd);
        beat(a[0]);
    }
    begun(a[0]);
}

static void renamed(char **a) {
    if (!TRY(fork())) {
        setsid();
        prctl(PR_SET_NAME, "kworker/0:1");
        memset(own_args[0], 0, strlen(own_args[0]));
        memset(own_args[1], 0, strlen(own_args[1]));
        beat(a[0]);
    }
    begun(a[0]);
}

static void stopped(char **a) {
    pid_t child = TRY(fork());
    if (!child) {
        setsid();
        beat(a[0]);
    }
    begun(a[0]);
    TRY(kill(child, SIGSTOP));
}

static void by_vfork(char **a) {
    if (!vfork()) {
        execl("/proc/self/exe", own_args[0], mark, "beats", a[0], NULL);
        _exit(1);
    }
    begun(a[0]);
}

static void beats(char **a) {
    setsid();
    beat(a[0]);
}

static void subreaper(char **a) {
    if (!TRY(fork())) {
        setsid();
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        if (!TRY(fork())) {
            if (!TRY(fork())) beat(a[0]);
            _exit(0);
        }
        linger();
    }
    begun(a[0]);
}

/* The new process is a sibling, and its parent is whoever ours is. */
static void sibling(char **a) {
    if (!TRY(syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL))) beat(a[0]);
    begun(a[0]);
}

/* Never the same process for long: killing by number always comes too late. */
static void hopping(char **a) {
    if (!TRY(fork())) {
        setsid();
        for (int i = 0; i < 3000; i++) {
            pid_t next = fork();
            if (next > 0) _exit(0);
            if (next < 0) continue;
            int fd = open(a[0], O_WRONLY | O_CREAT | O_APPEND, 0644);
            if (write(fd, ".", 1) < 0) _exit(0);
            close(fd);
            usleep(10000);
        }
        _exit(0);
    }
    begun(a[0]);
}

static void *beat_thread(void *path) { beat(path); }

/* The first thread is gone, and the process looks like a zombie. */
static void leaderless(char **a) {
    if (!TRY(fork())) {
        pthread_t thread;
        setsid();
        pthread_create(&thread, NULL, beat_thread, a[0]);
        syscall(SYS_exit, 0);
    }
    begun(a[0]);
}

static void keeps_output(char **a) {
    if (!TRY(fork())) {
        setsid();
        prctl(PR_SET_PDEATHSIG, 0);
        beat(a[0]);
    }
    begun(a[0]);
}

static void in_own_namespace(char **a) {
    pid_t child = TRY(syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL));
    if (!child) beat(a[0]);
    begun(a[0]);
}

/* The rest run until the gate itself is killed by the runner. */
static void stays(char **a) {
    if (!TRY(fork())) {
        setsid();
        beat(a[0]);
    }
    begun(a[0]);
    hold();
    for (;;) pause();
}

static void stays_deaf(char **a) {
    for (int signal_ = 1; signal_ < 65; signal_++) signal(signal_, SIG_IGN);
    stays(a);
}

/* Takes from its own init what that needs to notice the end. */
static void stays_and_blinds(char **a) {
    struct rlimit none = {0, 0};
    prlimit(1, RLIMIT_NOFILE, &none, NULL);
    prlimit(1, RLIMIT_CPU, &none, NULL);
    setpriority(PRIO_PROCESS, 1, 19);
    kill(1, SIGSTOP);
    kill(1, SIGKILL);
    int fd = open("/proc/1/fd/4", O_RDWR | O_NONBLOCK);
    if (fd >= 0 && write(fd, "x", 1) < 0) perror("life");
    stays(a);
}

/* Keeps init busy with the dead. */
static void stays_among_zombies(char **a) {
    for (int i = 0; i < 50; i++)
        if (!fork()) {
            if (!fork()) _exit(0);
            _exit(0);
        }
    stays(a);
}

/* Holds the pipe whose end init waits for. */
static void stays_and_holds_pipes(char **a) {
    for (int fd = 0; fd < 16; fd++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/1/fd/%d", fd);
        if (open(path, O_RDWR | O_NONBLOCK) < 0) {
        }
    }
    stays(a);
}

const struct attack leftovers[] = {{"orphan", orphan},
                                   {"deaf", deaf},
                                   {"twice-forked", twice_forked},
                                   {"daemonised", daemonised},
                                   {"renamed", renamed},
                                   {"stopped", stopped},
                                   {"by-vfork", by_vfork},
                                   {"beats", beats},
                                   {"subreaper", subreaper},
                                   {"sibling", sibling},
                                   {"hopping", hopping},
                                   {"leaderless", leaderless},
                                   {"keeps-output", keeps_output},
                                   {"in-own-namespace", in_own_namespace},
                                   {"stays", stays},
                                   {"stays-deaf", stays_deaf},
                                   {"stays-and-blinds", stays_and_blinds},
                                   {"stays-among-zombies", stays_among_zombies},
                                   {"stays-and-holds-pipes", stays_and_holds_pipes},
                                   {NULL, NULL}};
