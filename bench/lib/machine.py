"""What a report must name about the machine and the software: kernel, CPU, memory, compiler, commit.

Every fact that cannot be read is None, and the report then says 'not known'.
"""
import os
import platform
import re
import resource
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
COREACTOR = "build/release/coreactor"
LIMIT = "build/release/bench/limit"
MIXED = "build/release/bench/mixed"
PACE = "build/release/bench/pace"


class Failure(Exception):
    """A problem that ends the program with one line on stderr and exit status 1."""


def output_of(*command):
    """The combined output of a command run in the repository, or None when it cannot run."""
    try:
        done = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
    except OSError:
        return None
    return done.stdout.strip()


def first_line(text):
    return text.splitlines()[0].strip() if text else None


def text_of(path):
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def quota_cpus():
    """CPUs that the control group grants (cgroup v2), or None without a quota."""
    group = re.search(r"^0::(.*)$", text_of("/proc/self/cgroup") or "", re.M)
    limits = text_of(f"/sys/fs/cgroup{group.group(1)}/cpu.max") if group else None
    words = (limits or "max").split()
    if words[0] == "max":
        return None
    return max(1, int(words[0]) // int(words[1]))


def allowed_cpus():
    """CPUs that this process may use: affinity and quota, not what the machine has."""
    affinity = len(os.sched_getaffinity(0))
    return min(affinity, quota_cpus() or affinity)


def cpu_facts():
    info = text_of("/proc/cpuinfo") or ""
    model = re.search(r"^model name\s*:\s*(.+)$", info, re.M)
    physical = re.findall(r"^physical id\s*:\s*(\d+)$", info, re.M)
    core = re.findall(r"^core id\s*:\s*(\d+)$", info, re.M)
    cores = len(set(zip(physical, core))) or None
    return {"cpu": model.group(1).strip() if model else None, "cores": cores,
            "hardware_threads": os.cpu_count(), "cpus_allowed": allowed_cpus(),
            "virtual": bool(re.search(r"^flags\s*:.*\bhypervisor\b", info, re.M))}


def memory_mib():
    total = re.search(r"^MemTotal:\s*(\d+) kB", text_of("/proc/meminfo") or "", re.M)
    return int(total.group(1)) // 1024 if total else None


def distribution():
    name = re.search(r'^PRETTY_NAME="?([^"\n]+)', text_of("/etc/os-release") or "", re.M)
    return name.group(1) if name else None


def governor():
    return first_line(text_of("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"))


def commit_facts():
    """The commit, and whether files differ from it. What bench/ wrote under results/ changes no
    figure, so it does not count."""
    commit = output_of("git", "rev-parse", "HEAD")
    if not commit or not re.fullmatch(r"[0-9a-f]{40,64}", commit):
        return {"commit": None, "dirty": None}
    return {"commit": commit,
            "dirty": bool(output_of("git", "status", "--porcelain", "--", ".", ":!results"))}


def facts(host):
    """Everything the report's section on the environment shows."""
    found = {"host": host, "kernel": f"{platform.system()} {platform.release()}",
             "architecture": platform.machine(), "distribution": distribution(),
             "memory_mib": memory_mib(), "governor": governor(),
             "load_average": round(os.getloadavg()[0], 2),
             "coreactor": output_of(COREACTOR, "--version"),
             "wrk": re.sub(r"\s*Copyright.*", "", first_line(output_of("wrk", "-v")) or "") or None,
             "gnuplot": first_line(output_of("gnuplot", "--version")),
             "python": platform.python_version(),
             "omp": {k: v for k, v in sorted(os.environ.items()) if k.startswith("OMP_")}}
    found.update(cpu_facts())
    found.update(commit_facts())
    return found


def program(name):
    """Where a program is, or None. Debian keeps servers where only root's PATH looks."""
    return shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")


def missing_tools(names):
    return [name for name in names if program(name) is None]


def install(*flags):
    subprocess.run([str(ROOT / "scripts/install-deps"), *flags], check=False)


def require_tools(*names):
    """Installs what is missing, as the other scripts do."""
    if missing_tools(names):
        install("--bench")
    missing = missing_tools(names)
    if missing:
        raise Failure(f"not installed: {', '.join(missing)} (scripts/install-deps --bench "
                      "installs it)")


def raise_descriptor_limit(needed):
    """Soft limit to hard limit, for us and so for our children."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise Failure(f"{needed} descriptors are needed and the hard limit is {hard}: "
                      "raise it (ulimit -Hn) or ask for fewer --connections")


def build(wanted, *programs):
    """Builds the release preset, or, when that is not wanted, finds these programs in it."""
    if not wanted:
        return require_programs(*programs)
    print("building the release preset", flush=True)
    require_tools("cmake")
    build_release()
    return require_programs(*programs)


def build_release():
    """Configures and builds; the compiler's words only when it fails."""
    for command in (["cmake", "--preset", "release"],
                    ["cmake", "--build", "--preset", "release", "-j"]):
        done = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            tail = "\n".join(done.stdout.splitlines()[-20:])
            raise Failure(f"{' '.join(command)} failed:\n{tail}")


def require_programs(*programs):
    for program in programs:
        if not os.access(ROOT / program, os.X_OK):
            raise Failure(f"{program} does not exist: build the release preset first")
