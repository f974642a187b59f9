/* Somebody else on the machine, of the same user as the attacker: serves sockets, holds secrets, and says what happened
   to it. `victim MARK SECRET FOLDER`; it ends when its input ends. The secret is in its arguments, environment, memory,
   an open file, shared memory, queues and a keyring; MARK names what an attacker may know the name of. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/netlink.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static char secret[256], untouched[16] = "untouched";
static volatile sig_atomic_t seen[65];
static struct pollfd polled[64];
static const char *names[64];
static int count, secret_fd, shared_id, queue_id, semaphore_id, priority, posix_fd;
static char *shared, *posix, posix_name[128], data_path[512];
static mqd_t posix_queue;
static struct rlimit files_before;
static cpu_set_t cores_before;

static void must(long result, const char *what) {
    if (result < 0) {
        printf("cannot %s: %s\n", what, strerror(errno));
        exit(1);
    }
}

static void on_signal(int number) { seen[number] = 1; }

static void watch(int fd, const char *name) {
    polled[count].fd = fd, polled[count].events = POLLIN;
    names[count++] = name;
}

static void serve_unix(int kind, const char *path, const char *name) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    socklen_t size = *path == '=' ? offsetof(struct sockaddr_un, sun_path) + strlen(path) : sizeof at;
    if (*path == '=') at.sun_path[0] = 0;
    int fd = socket(AF_UNIX, kind, 0);
    must(fd, "make a socket");
    must(bind(fd, (void *)&at, size), path);
    if (kind != SOCK_DGRAM) must(listen(fd, 8), "listen");
    watch(fd, name);
}

static void serve_inet(int kind, const char *name, int six) {
    struct sockaddr_in6 there = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    struct sockaddr_in four = {.sin_family = AF_INET};
    if (kind == SOCK_STREAM) four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(six ? AF_INET6 : AF_INET, kind, 0);
    if (fd < 0) return;
    if (bind(fd, six ? (void *)&there : (void *)&four, six ? sizeof there : sizeof four) < 0) return;
    if (kind == SOCK_STREAM) must(listen(fd, 8), "listen");
    struct sockaddr_in6 got;
    socklen_t size = sizeof got;
    getsockname(fd, (void *)&got, &size);
    printf("%s %d\n", name, ntohs(got.sin6_port));
    watch(fd, name);
}

static void serve_netlink(void) {
    struct sockaddr_nl at = {.nl_family = AF_NETLINK};
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_USERSOCK);
    if (fd < 0 || bind(fd, (void *)&at, sizeof at) < 0) return;
    socklen_t size = sizeof at;
    getsockname(fd, (void *)&at, &size);
    printf("netlink %u\n", at.nl_pid);
    watch(fd, "netlink");
}

static void open_terminal(void) {
    int fd = posix_openpt(O_RDWR | O_NOCTTY);
    if (fd < 0 || grantpt(fd) < 0 || unlockpt(fd) < 0) return;
    printf("pts %s\n", ptsname(fd));
    int other = open(ptsname(fd), O_RDWR | O_NOCTTY);
    struct termios raw;
    tcgetattr(other, &raw);
    cfmakeraw(&raw);
    tcsetattr(other, TCSANOW, &raw);
    watch(fd, "pts");
}

static void share(const char *mark) {
    shared_id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
    queue_id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
    semaphore_id = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
    printf("shm %d\nmsq %d\nsem %d\n", shared_id, queue_id, semaphore_id);
    shared = shmat(shared_id, NULL, 0);
    if (shared == (void *)-1) must(-1, "attach shared memory");
    strcpy(shared, secret);
    snprintf(posix_name, sizeof posix_name, "/escape-%s", mark);
    posix_fd = shm_open(posix_name, O_CREAT | O_EXCL | O_RDWR, 0600);
    must(posix_fd, "make POSIX shared memory");
    must(ftruncate(posix_fd, 4096), "size it");
    posix = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, posix_fd, 0);
    strcpy(posix, secret);
    struct mq_attr small = {.mq_maxmsg = 2, .mq_msgsize = 256};
    posix_queue = mq_open(posix_name, O_CREAT | O_EXCL | O_RDONLY | O_NONBLOCK, 0600, &small);
    printf("posix %s\n", posix_name);
    long key = syscall(SYS_add_key, "user", posix_name + 1, secret, strlen(secret), KEY_SPEC_USER_KEYRING);
    printf("key %ld\n", key);
}

static void starved(const char *of) { printf("starved of %s: %s\n", of, strerror(errno)); }

/* Can everything still be had that everybody needs? */
static void check_needs(void) {
    int fd, ends[2], pair[2];
    timer_t timer;
    struct sigevent quiet = {.sigev_notify = SIGEV_NONE};
    if ((fd = inotify_init1(0)) < 0) starved("inotify");
    close(fd);
    if (pipe(ends) < 0) starved("pipes");
    else if (fcntl(ends[0], F_GETPIPE_SZ) < 65536) starved("room in pipes");
    close(ends[0]), close(ends[1]);
    if (timer_create(CLOCK_MONOTONIC, &quiet, &timer) < 0) starved("timers");
    else timer_delete(timer);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) starved("sockets");
    char control[CMSG_SPACE(sizeof(int))], byte = 'x';
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *first = CMSG_FIRSTHDR(&message);
    first->cmsg_level = SOL_SOCKET, first->cmsg_type = SCM_RIGHTS, first->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(first), &fd, 0), memset(CMSG_DATA(first), 0, sizeof(int));
    if (sendmsg(pair[0], &message, MSG_DONTWAIT) < 0) starved("descriptors on the way");
    close(pair[0]), close(pair[1]);
    pid_t child = fork();
    if (child < 0) starved("processes");
    if (!child) _exit(0);
    waitpid(child, NULL, 0);
    if ((fd = open(data_path, O_WRONLY | O_NONBLOCK)) < 0) printf(errno == EWOULDBLOCK ? "leased\n" : "data: closed\n");
    else if (flock(fd, LOCK_EX | LOCK_NB) < 0) printf("locked\n");
    struct flock all = {.l_type = F_WRLCK};
    if (fd >= 0 && fcntl(fd, F_SETLK, &all) < 0) printf("record locked\n");
    close(fd);
}

static void check_share(void) {
    struct rlimit files;
    cpu_set_t cores;
    getrlimit(RLIMIT_NOFILE, &files);
    sched_getaffinity(0, sizeof cores, &cores);
    if (getpriority(PRIO_PROCESS, 0) != priority) printf("lowered\n");
    if (files.rlim_cur != files_before.rlim_cur) printf("starved of files by limit\n");
    if (syscall(SYS_ioprio_get, 1, 0) >> 13 == 3) printf("idle disk\n");
    if (!CPU_EQUAL(&cores, &cores_before)) printf("pinned\n");
    if (sched_getscheduler(0) == SCHED_IDLE) printf("idle class\n");
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    while (status && fgets(line, sizeof line, status))
        if (!strncmp(line, "TracerPid:", 10) && atoi(line + 10)) printf("traced\n");
    if (status) fclose(status);
}

static void check(void) {
    struct {
        long kind;
        char text[256];
    } message;
    for (int i = 1; i < 65; i++)
        if (seen[i]) printf("signal %d\n", i);
    if (strcmp(untouched, "untouched")) printf("memory changed\n");
    if (shared[2048]) printf("shared memory changed\n");
    if (posix[2048]) printf("POSIX shared memory changed\n");
    struct shmid_ds state;
    if (shmctl(shared_id, IPC_STAT, &state) < 0 || state.shm_perm.mode & SHM_DEST) printf("shared memory removed\n");
    if (semctl(semaphore_id, 0, GETVAL) > 0) printf("semaphore raised\n");
    while (msgrcv(queue_id, &message, sizeof message.text, 0, IPC_NOWAIT) > 0) printf("queue %.60s\n", message.text);
    char text[8192 + 1];
    ssize_t got = posix_queue < 0 ? -1 : mq_receive(posix_queue, text, 8192, NULL);
    if (got > 0) printf("POSIX queue %.*s\n", (int)got, text);
    check_share();
    check_needs();
    printf("checked\n");
}

static void pass_secret(int to) {
    char control[CMSG_SPACE(sizeof(int))], byte = 'x';
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *first = CMSG_FIRSTHDR(&message);
    first->cmsg_level = SOL_SOCKET, first->cmsg_type = SCM_RIGHTS, first->cmsg_len = CMSG_LEN(sizeof(int));
    lseek(secret_fd, 0, SEEK_SET);
    memcpy(CMSG_DATA(first), &secret_fd, sizeof secret_fd);
    sendmsg(to, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void receive(int index) {
    char text[1024];
    int kind = 0;
    socklen_t size = sizeof kind;
    const char *name = names[index];
    getsockopt(polled[index].fd, SOL_SOCKET, SO_TYPE, &kind, &size);
    int accepts = 0;
    size = sizeof accepts;
    getsockopt(polled[index].fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &size);
    if (accepts) {
        int fd = accept(polled[index].fd, NULL, NULL);
        if (fd < 0) return;
        printf("%s: connected\n", name);
        if (!strncmp(name, "unix", 4)) pass_secret(fd);
        watch(fd, name);
        return;
    }
    ssize_t got = read(polled[index].fd, text, sizeof text - 1);
    if (got <= 0) {
        polled[index].fd = -1;
        return;
    }
    for (ssize_t i = 0; i < got; i++)
        if (text[i] < ' ' || text[i] > '~') text[i] = '.';
    printf("%s: %.*s\n", name, (int)got, text);
}

static void clean_up(void) {
    shmctl(shared_id, IPC_RMID, NULL);
    msgctl(queue_id, IPC_RMID, NULL);
    semctl(semaphore_id, 0, IPC_RMID);
    shm_unlink(posix_name);
    mq_unlink(posix_name);
    long key = syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, "user", posix_name + 1, 0);
    if (key > 0) syscall(SYS_keyctl, KEYCTL_UNLINK, key, KEY_SPEC_USER_KEYRING);
}

int main(int argc, char **argv) {
    char path[512];
    if (argc < 4) return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    snprintf(secret, sizeof secret, "%s", argv[2]);
    snprintf(data_path, sizeof data_path, "%s/read/data", argv[3]);
    printf("pid %d\npgrp %d\naddress %lx\nword %lx\n", getpid(), getpgrp(), (long)secret, (long)untouched);
    for (int i = 1; i < 32; i++)
        if (i != SIGKILL && i != SIGSTOP && i != SIGCHLD && i != SIGSEGV) signal(i, on_signal);
    priority = getpriority(PRIO_PROCESS, 0);
    getrlimit(RLIMIT_NOFILE, &files_before);
    sched_getaffinity(0, sizeof cores_before, &cores_before);
    watch(0, "ask");
    snprintf(path, sizeof path, "%s/secret/key", argv[3]);
    secret_fd = open(path, O_RDONLY);
    must(secret_fd, path);
    printf("fd %d\n", secret_fd);
    const char *folders[] = {"read", "write"};
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s/socket", argv[3], folders[i]);
        serve_unix(SOCK_STREAM, path, "unix");
        snprintf(path, sizeof path, "%s/%s/datagrams", argv[3], folders[i]);
        serve_unix(SOCK_DGRAM, path, "datagrams");
        snprintf(path, sizeof path, "%s/%s/packets", argv[3], folders[i]);
        serve_unix(SOCK_SEQPACKET, path, "packets");
    }
    snprintf(path, sizeof path, "%s/secret/socket", argv[3]);
    serve_unix(SOCK_STREAM, path, "unix");
    snprintf(path, sizeof path, "=escape-%s", argv[1]);
    serve_unix(SOCK_STREAM, path, "abstract");
    snprintf(path, sizeof path, "=escape-datagrams-%s", argv[1]);
    serve_unix(SOCK_DGRAM, path, "abstract datagrams");
    snprintf(path, sizeof path, "=%s", secret);
    serve_unix(SOCK_STREAM, path, "hidden");
    serve_inet(SOCK_STREAM, "tcp", 0);
    serve_inet(SOCK_STREAM, "second", 0);
    serve_inet(SOCK_STREAM, "tcp6", 1);
    serve_inet(SOCK_DGRAM, "udp", 0);
    serve_inet(SOCK_DGRAM, "udp6", 1);
    serve_netlink();
    open_terminal();
    share(argv[1]);
    puts("ready");
    for (;;) {
        char asked[64];
        if (poll(polled, count, -1) < 0) continue;
        for (int i = count - 1; i > 0; i--)
            if (polled[i].fd >= 0 && polled[i].revents) receive(i);
        if (polled[0].revents) {
            /* What arrived at the same moment comes first. */
            if (poll(polled + 1, count - 1, 0) > 0) continue;
            if (read(0, asked, sizeof asked) <= 0) break;
            check();
        }
    }
    clean_up();
    return 0;
}
