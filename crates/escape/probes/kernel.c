/* Parts of the kernel that plugins have no use for. */
#include "probe.h"
#include <linux/bpf.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <sys/fanotify.h>
#include <sys/personality.h>
#include <sys/reboot.h>
#include <sys/swap.h>
#include <sys/timex.h>
#ifdef __x86_64__
#include <asm/ldt.h>
#include <asm/prctl.h>
#endif

static void persona(char **a) {
    TRY(personality(strtoul(a[0], NULL, 16)));
    hold();
}

static void bpf_map(char **a) {
    (void)a;
    union bpf_attr make = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
    TRY(syscall(SYS_bpf, BPF_MAP_CREATE, &make, sizeof make));
    hold();
}

static void bpf_program(char **a) {
    (void)a;
    struct bpf_insn code[] = {{.code = 0xb7}, {.code = 0x95}}; /* r0 = 0; exit */
    union bpf_attr load = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER, .insns = (uintptr_t)code, .insn_cnt = 2,
                           .license = (uintptr_t) "GPL"};
    TRY(syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load));
    hold();
}

static void perf(char **a) {
    struct perf_event_attr what = {.type = PERF_TYPE_SOFTWARE, .size = sizeof what, .config = PERF_COUNT_SW_CPU_CLOCK,
                                   .exclude_kernel = 1, .exclude_hv = 1};
    TRY(syscall(SYS_perf_event_open, &what, atoi(a[0]), -1, -1, 0));
    hold();
}

static void fault_handler(char **a) {
    TRY(syscall(SYS_userfaultfd, atoi(a[0])));
    hold();
}

static void fault_handler_by_device(char **a) {
    (void)a;
    int fd = TRY(open("/dev/userfaultfd", O_RDWR));
    TRY(ioctl(fd, 0xaa00, 0));
    hold();
}

static void watch_everything(char **a) {
    int fd = TRY(fanotify_init(FAN_CLASS_CONTENT, O_RDONLY));
    TRY(fanotify_mark(fd, FAN_MARK_ADD | FAN_MARK_MOUNT, FAN_OPEN, AT_FDCWD, a[0]));
    hold();
}

/* The key was put into the user's keyring by somebody else. */
static void key_read(char **a) {
    char text[256] = {0};
    long key = TRY(syscall(SYS_request_key, "user", a[0], NULL, 0));
    TRY(syscall(SYS_keyctl, KEYCTL_READ, key, text, sizeof text - 1));
    puts(text);
}

static void key_read_by_number(char **a) {
    char text[256] = {0};
    syscall(SYS_keyctl, KEYCTL_LINK, KEY_SPEC_USER_KEYRING, KEY_SPEC_PROCESS_KEYRING);
    TRY(syscall(SYS_keyctl, KEYCTL_READ, atoi(a[0]), text, sizeof text - 1));
    puts(text);
}

static void key_add(char **a) {
    (void)a;
    long key = TRY(syscall(SYS_add_key, "user", mark, "x", 1, KEY_SPEC_USER_KEYRING));
    hold();
    syscall(SYS_keyctl, KEYCTL_UNLINK, key, KEY_SPEC_USER_KEYRING);
}

/* A segment of our own making, through which the challenge is read back. */
static void segment(char **a) {
#ifdef __x86_64__
    char *challenge = mmap(NULL, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    strncpy(challenge, a[0], 64);
    struct user_desc desc = {.entry_number = 1, .base_addr = (uint32_t)(uintptr_t)challenge, .limit = 4095,
                             .seg_32bit = 1};
    TRY(syscall(SYS_modify_ldt, 1, &desc, sizeof desc));
    char text[65] = {0};
    __asm__ volatile("mov %0, %%gs" : : "r"((1 << 3) | 7));
    for (long i = 0; i < 64; i++) __asm__ volatile("movb %%gs:(%1), %0" : "=q"(text[i]) : "r"(i));
    printf("by segment: %s\n", text);
#else
    (void)a;
    errno = ENOSYS, fail("modify_ldt");
#endif
}

static void reboot_key(char **a) { TRY(reboot(atoi(a[0]) ? RB_ENABLE_CAD : RB_DISABLE_CAD)); }
static void swap_on(char **a) {
    TRY(swapon(a[0], 0));
    hold();
    swapoff(a[0]);
}

static void clock_error(char **a) {
    struct timex change = {.modes = ADJ_ESTERROR, .esterror = atoi(a[0])};
    TRY(adjtimex(&change));
}

static void domain_name(char **a) {
    (void)a;
    TRY(setdomainname(mark, strlen(mark)));
}

static void log_read(char **a) {
    (void)a;
    static char text[1 << 20];
    TRY(syscall(SYS_syslog, 3, text, sizeof text - 1));
    puts(text);
}

static void accounting(char **a) {
    TRY(syscall(SYS_acct, a[0]));
    if (!fork()) _exit(0);
    wait(NULL);
    TRY(syscall(SYS_acct, NULL));
}

static void device(char **a) {
    TRY(open(a[0], atoi(a[1])));
    hold();
}

static void set_user(char **a) {
    TRY(syscall(SYS_setresuid, atoi(a[0]), atoi(a[0]), atoi(a[0])));
    hold();
}

const struct attack kernel[] = {{"persona", persona},
                                {"bpf-map", bpf_map},
                                {"bpf-program", bpf_program},
                                {"perf", perf},
                                {"fault-handler", fault_handler},
                                {"fault-handler-by-device", fault_handler_by_device},
                                {"watch-everything", watch_everything},
                                {"key-read", key_read},
                                {"key-read-by-number", key_read_by_number},
                                {"key-add", key_add},
                                {"segment", segment},
                                {"reboot-key", reboot_key},
                                {"swap-on", swap_on},
                                {"clock-error", clock_error},
                                {"domain-name", domain_name},
                                {"log-read", log_read},
                                {"accounting", accounting},
                                {"device", device},
                                {"set-user", set_user},
                                {NULL, NULL}};
