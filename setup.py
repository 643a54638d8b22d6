"""Build of csrc/ and the one extension.

Every file of csrc/kernels/ is compiled once per instruction set, the drivers once, and all objects are linked into
sparsecore._core.  The compiler's own dependency files (-MMD) tell which objects an edited header makes stale.

Environment: SPARSECORE_OPENMP=off builds without threads; SPARSECORE_FAULT=1 builds in fault injection;
SPARSECORE_SANITIZE=address,undefined builds with sanitizers; CC and CFLAGS mean what they always mean.
"""

import os
import platform
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
X86 = platform.machine().lower() in ("x86_64", "amd64")
AVX2 = ["-mavx2", "-mfma", "-mf16c", "-mbmi", "-mbmi2", "-mpopcnt"]
# Level number and flags of each instruction set; csrc/dispatch.c checks for every feature named here.
ISAS = {"base": (0, [])}
if X86:
    ISAS["avx2"] = (2, AVX2)
    ISAS["avx512"] = (512, [*AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512cd",
                            "-mprefer-vector-width=512"])
# No contraction: a*b+c keeps SciPy's bits at every level.  Where fused multiply-add pays, kernels ask for it by name.
COMMON = ["-std=gnu11", "-O3", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-fno-math-errno",
          "-fno-trapping-math", "-fcx-limited-range", "-Wall", "-Wextra", "-Wno-unknown-pragmas"]


class BuildWithKernels(build_ext):
    """build_ext that first compiles csrc/ in parallel, only what is stale."""

    def build_extension(self, ext):
        self.cc = list(getattr(self.compiler, "compiler_so", None) or ["cc"])[:1] or ["cc"]
        if os.environ.get("CC"):
            self.cc = os.environ["CC"].split()
        flags = list(COMMON)
        if X86:
            flags.append("-DSC_X86")
        if os.environ.get("SPARSECORE_FAULT") == "1":
            flags.append("-DSC_FAULT")
        sanitize = os.environ.get("SPARSECORE_SANITIZE")
        if sanitize:
            flags += ["-O1", "-g", "-fno-omit-frame-pointer", f"-fsanitize={sanitize}"]
            ext.extra_link_args += [f"-fsanitize={sanitize}"]
        flags += os.environ.get("CFLAGS", "").split()
        openmp = self.openmp_flags()
        jobs = []
        for source in sorted((ROOT / "csrc").glob("*.c")):
            jobs.append((source, "drivers", flags + openmp))
        for isa, (level, isa_flags) in ISAS.items():
            define = [f"-DSC_ISA={isa}", f"-DSC_LEVEL={level}", "-fopenmp-simd"]
            for source in sorted((ROOT / "csrc" / "kernels").glob("*.c")):
                jobs.append((source, isa, flags + isa_flags + define))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(lambda job: self.compile_object(*job), jobs))
        ext.extra_objects = [str(o) for o in objects]
        ext.depends = [*ext.extra_objects, *map(str, (ROOT / "sparsecore" / "bindings").glob("*.pxi")),
                        str(ROOT / "csrc" / "sparsecore.h"), str(ROOT / "csrc" / "status.h")]
        ext.extra_link_args += openmp
        super().build_extension(ext)

    def openmp_flags(self):
        """OpenMP, or an error that tells how to do without: a serial build is never a surprise."""
        if os.environ.get("SPARSECORE_OPENMP", "").lower() in ("off", "0", "no"):
            return []
        with tempfile.TemporaryDirectory() as folder:
            probe = Path(folder) / "probe.c"
            probe.write_text("#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n")
            run = subprocess.run([*self.cc, "-fopenmp", str(probe), "-o", str(probe.with_suffix(""))],
                                 capture_output=True, text=True)
        if run.returncode:
            sys.exit(f"sparsecore: {self.cc[0]} cannot compile with -fopenmp:\n{run.stderr}\n"
                     "Install a compiler with OpenMP (for instance gcc), or set SPARSECORE_OPENMP=off for a "
                     "single-threaded build.")
        return ["-fopenmp"]

    def compile_object(self, source, group, flags):
        target = Path(self.build_temp) / "csrc" / group / (source.stem + ".o")
        target.parent.mkdir(parents=True, exist_ok=True)
        command = [*self.cc, *flags, "-MMD", "-MF", str(target.with_suffix(".d")), "-c", str(source), "-o", str(target)]
        stamp = target.with_suffix(".cmd")
        if self.force or self.is_stale(target, stamp, command):
            run = subprocess.run(command, capture_output=True, text=True)
            if run.stderr:
                print(run.stderr, file=sys.stderr)
            if run.returncode:
                sys.exit(f"sparsecore: compiling {source.relative_to(ROOT)} for {group} failed")
            stamp.write_text(" ".join(command))
        return target

    @staticmethod
    def is_stale(target, stamp, command):
        depfile = target.with_suffix(".d")
        if not (target.exists() and depfile.exists() and stamp.exists()) or stamp.read_text() != " ".join(command):
            return True
        names = re.split(r"(?<!\\)\s+", depfile.read_text().replace("\\\n", " ").split(":", 1)[1].strip())
        made = target.stat().st_mtime
        return any(not os.path.exists(n) or os.path.getmtime(n) > made for n in names if n)


def extension():
    import numpy
    from Cython.Build import cythonize

    core = Extension("sparsecore._core", ["sparsecore/_core.pyx"], include_dirs=["csrc", numpy.get_include()],
                     define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION"),
                                    ("NPY_TARGET_VERSION", "NPY_2_0_API_VERSION")],
                     libraries=[] if os.name == "nt" else ["m"], extra_compile_args=["-std=gnu11", "-O2"],
                     extra_link_args=[])
    return cythonize([core], compiler_directives={"language_level": 3}, build_dir="build/cython")


setup(ext_modules=extension(), cmdclass={"build_ext": BuildWithKernels})
