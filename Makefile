# Builds, tests and installs Mien. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := all
MAKEFLAGS += --no-builtin-rules

# $(call say,CC file.c) before a command prints that short line instead of the command (V=1 and -n: the command)
V    ?= 0
flags = $(firstword -$(MAKEFLAGS))
quiet = $(if $(filter 1,$(V))$(findstring n,$(flags)),,@)
say   = $(if $(quiet),@$(if $(findstring s,$(flags)),,echo '$(1)';) )

# ---- Debian packages (named only here) ----------------------------------------------------------
DEB_NEED  := gcc g++ make pkg-config libdnnl-dev libjson-c-dev libyaml-dev zlib1g-dev \
             libjpeg62-turbo-dev libpng-dev libtiff-dev libwebp-dev libgif-dev
DEB_HDF5  := libhdf5-dev libseccomp-dev
DEB_OPENCV := libopencv-core-dev libopencv-imgproc-dev libopencv-objdetect-dev libopencv-dnn-dev opencv-data
DEB_VIDEO := libavformat-dev libavcodec-dev libavdevice-dev libswscale-dev
DEB_WINDOW := libsdl2-dev
DEB_SERVE := libmicrohttpd-dev libseccomp-dev
DEB_LOADED := libarchive13 libheif1 librsvg2-2 fonts-dejavu-core
DEB_CHECK := libcmocka-dev python3-numpy
# only for check-gate; where one is missing, its tests are skipped
DEB_GATE  := xvfb xdotool chromium chromium-driver nginx-light caddy systemd curl openssl procps \
             python3-pip python3-setuptools python3-venv
DEB_TOOLS := clang clang-format valgrind

# ---- choices ----------------------------------------------------------------------------------
CARRY   ?=#         1: dist packs everything that a GPU machine without packages needs
ARCHIVE ?=#         check-gpu, bench-gpu: use this archive of `make dist CARRY=1` instead of that in carry/ or a build
$(if $(filter-out 0 1,$(CARRY)),$(error CARRY is 1 or nothing; an archive to test is ARCHIVE=$(CARRY)))
ifeq ($(CARRY),1)
  CUDA_ARCHS ?= 90
  OPENCV     ?= 0
  VIDEO      ?= 0
  WINDOW     ?= 0
  SERVE      ?= 0
endif
ifneq ($(filter dist,$(MAKECMDGOALS)),)
  CUDA_ARCHS ?= all
  export CUDA_ARCHS
endif
HDF5    ?= auto#    read and write .h5: auto|1|0
OPENCV  ?= auto#    find faces in photos: auto|1|0
VIDEO   ?= auto#    read and write video, as mien-video.so: auto|1|0
WINDOW  ?= auto#    show video in a window, as mien-window.so: auto|1|0
SERVE   ?= auto#    mien serve, as mien-serve.so and mien-decode: auto|1|0
CUDA    ?= auto#    the GPU module, needs NVIDIA's toolkit, cuDNN and cuBLASLt: auto|1|0
CUDA_ARCHS ?=#      compute capabilities, as 80 90, or all; nothing: those of the cards in this machine
STRICT  ?= 0#       1: warnings are errors
SAN     ?=#         address, undefined or thread: a sanitizer build in its own folder
VARIANT ?= $(if $(SAN),$(SAN),release)
PREFIX  ?= /usr/local
CC      := $(if $(filter default,$(origin CC)),gcc,$(CC))
CXX     := $(if $(filter default,$(origin CXX)),g++,$(CXX))
B       := build/$(VARIANT)
J       ?= $(shell nproc)

# $(call choose,NAME,what is missing,what was found) sets USE_NAME and WHY_NAME from NAME (auto, 1 or 0)
define choose
USE_$(1) := $(if $(filter auto,$($(1))),$(if $(2),0,1),$($(1)))
WHY_$(1) := $(if $(filter auto,$($(1))),$(or $(2),$(3)),set by $(1)=$($(1)))
endef

have    = $(shell pkg-config --exists $(1) 2>/dev/null && echo 1)
no_hdf5 := $(if $(call have,hdf5 libseccomp),,libhdf5-dev or libseccomp-dev is missing)
$(eval $(call choose,HDF5,$(no_hdf5),found libhdf5 and libseccomp))

# Debian's opencv4.pc links all of OpenCV; mien-vision.so needs four of its libraries
OPENCV_INC ?= /usr/include/opencv4
CASCADE    ?= /usr/share/opencv4/haarcascades/haarcascade_frontalface_default.xml
no_opencv  := $(if $(wildcard $(OPENCV_INC)/opencv2/objdetect.hpp),$(if $(wildcard \
                $(OPENCV_INC)/opencv2/dnn.hpp),,libopencv-dnn-dev is missing),libopencv-objdetect-dev is missing)
$(eval $(call choose,OPENCV,$(no_opencv),found $(OPENCV_INC)))

ffmpeg   := libavformat libavcodec libavdevice libswscale libavutil
no_video := $(if $(call have,$(ffmpeg)),,one of $(DEB_VIDEO) is missing)
$(eval $(call choose,VIDEO,$(no_video),found FFmpeg's libraries))

no_window := $(if $(call have,sdl2),,libsdl2-dev is missing)
$(eval $(call choose,WINDOW,$(no_window),found libsdl2))

no_serve := $(if $(call have,libmicrohttpd libseccomp),,libmicrohttpd-dev or libseccomp-dev is missing)
$(eval $(call choose,SERVE,$(no_serve),found libmicrohttpd and libseccomp))

NVCC      ?= $(firstword $(shell command -v nvcc 2>/dev/null) $(wildcard /usr/local/cuda/bin/nvcc))
CUDA_HOME ?= $(patsubst %/bin/nvcc,%,$(NVCC))
no_cuda   := $(if $(NVCC),$(if $(wildcard $(CUDA_HOME)/include/cudnn.h),$(if $(wildcard \
               $(CUDA_HOME)/include/cublasLt.h),,no cublasLt.h in $(CUDA_HOME)),no cudnn.h in \
               $(CUDA_HOME)),no nvcc on PATH or in /usr/local/cuda)
$(if $(and $(filter 1,$(CUDA)),$(no_cuda)),$(error CUDA=1: $(no_cuda); set NVCC, or build with CUDA=0))
$(eval $(call choose,CUDA,$(or $(no_cuda),$(if $(SAN),not under a sanitizer)),found $(CUDA_HOME)))

# ---- flags ------------------------------------------------------------------------------------
# Results depend on these flags: see docs/numerics.md before changing one.
NUMERIC  := -ffp-contract=off -fno-math-errno -fno-trapping-math
VERSION  := $(shell sed -n 's/^\#define MIEN_VERSION "\(.*\)"/\1/p' include/mien/mien.h)
COMMIT   := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
            $(if $(filter 1,$(STRICT)),-Werror)
OPT      := $(if $(SAN),-O1 -g -fno-omit-frame-pointer -fsanitize=$(SAN),-O2 -g)
CFLAGS   += -std=c11 -D_GNU_SOURCE -I. $(OPT) $(WARN) $(NUMERIC) -fopenmp -fPIC -MMD -MP
CXXFLAGS += -std=c++17 -D_GNU_SOURCE -I. $(OPT) -Wall -Wextra -Wno-unknown-pragmas \
            $(if $(filter 1,$(STRICT)),-Werror) $(NUMERIC) -fPIC -MMD -MP
# without -MMD: linking would overwrite the .d file of the object with the same name
LINK      = $(filter-out -MMD -MP,$(CFLAGS))
KERNEL   := $(if $(SAN),,-O3) -mprefer-vector-width=512 -Wno-psabi
# An unpacked archive has its libraries in lib/mien (make dist). RPATH instead of RUNPATH, because only RPATH
# also applies to the dependencies of those libraries. mien-h5 needs it too: it runs without an environment.
rpath     = -Wl,--disable-new-dtags,-rpath,'$$ORIGIN$(1)'
LIBS     := -ldnnl $(shell pkg-config --libs json-c yaml-0.1 zlib libjpeg libpng 2>/dev/null) -ldl -lm

# ---- sources ----------------------------------------------------------------------------------
folders   := base image vision video track window backend layers graph data formats infer serve eval audit train runs bench report api
lib_src   := $(sort $(foreach f,$(folders),$(wildcard host/$(f)/*.c)))
lib_src   := $(filter-out host/backend/plain.c host/base/services.c,$(lib_src))
cli_src   := $(sort $(wildcard host/cli/*.c))
sandbox   := host/sandbox/sandbox.c
h5_src    := $(sort $(wildcard host/h5/*.c)) $(sandbox)
decode_src := $(sort $(wildcard host/decode/*.c)) $(sandbox)
kernels   := $(sort $(wildcard kernels/cpu/*.c))
isa       := v2 v3 v4
lib_obj   := $(patsubst %,$(B)/%.o,$(basename $(lib_src))) $(foreach v,$(isa),$(kernels:%.c=$(B)/%.$(v).o))
cli_obj   := $(cli_src:%.c=$(B)/%.o)
h5_obj    := $(h5_src:%.c=$(B)/%.o)
# the reference build in double precision, for tests only
ref_obj   := $(kernels:%.c=$(B)/%.f64.o) $(B)/host/backend/cpu_glue.f64.o \
             $(B)/host/backend/plain.f64.o $(B)/host/backend/plain.o
support   := $(patsubst %.c,$(B)/%.o,$(sort $(wildcard tests/support/*.c)))
test_src  := $(sort $(wildcard tests/*/test_*.c))
test_bin  := $(test_src:%.c=$(B)/%)
harness_test := $(addprefix $(B)/tests/cuda/,test_harness test_launchers)
linked_bin := $(filter-out $(harness_test),$(test_bin))
# the modules of this build; the GPU's first: its slowest files must not come last, when they keep one core busy
modules   := $(if $(filter 1,$(USE_CUDA)),cuda) $(if $(filter 1,$(USE_OPENCV)),vision) \
             $(if $(filter 1,$(USE_VIDEO)),video) \
             $(if $(filter 1,$(USE_WINDOW)),window) $(if $(filter 1,$(USE_SERVE)),serve)
# programs that parse files in a sandbox
helpers_of_mien := $(if $(filter 1,$(USE_HDF5)),mien-h5) $(if $(filter 1,$(USE_SERVE)),mien-decode)
programs  := $(modules:%=$(B)/mien-%.so) $(B)/mien $(B)/libmien.so $(helpers_of_mien:%=$(B)/%)

comma := ,
# what modules link from the program; messages and logging are the program's (services.c)
base_obj   := $(filter-out %/status.o %/log.o %/home.o,$(filter $(B)/host/base/%,$(lib_obj))) \
              $(B)/host/base/services.o $(B)/host/backend/names.o
base_libs  := $(shell pkg-config --libs json-c 2>/dev/null) -ldl -lm -lpthread
# the GPU module
cuda_src   := $(sort $(wildcard host/backend/cuda/*.c))
cuda_slow  := $(addprefix kernels/cuda/,stem_conv.cu elementwise.cu loss.cu batchnorm.cu batchnorm_pool.cu)
cuda_kern  := $(cuda_slow) $(filter-out $(cuda_slow),$(sort $(wildcard kernels/cuda/*.cu)))
cuda_obj   := $(cuda_kern:%.cu=$(B)/cuda/%.o) $(cuda_src:%.c=$(B)/cuda/%.o)
# the GPUs to compile for; evaluated once, and only if something is compiled for them
gencode     = $(eval gencode := $(shell bash scripts/cuda_archs.sh '$(NVCC)' $(CUDA_ARCHS)))$(gencode)
# the same arithmetic as on the CPU (docs/numerics.md)
NVCCFLAGS   = -std=c++17 -O3 -I. -fmad=false -ftz=true -prec-div=true -prec-sqrt=true $(gencode) \
              --threads 2 -ccbin $(CXX) -Xcompiler -fPIC,-Wall,-ffp-contract=off \
              $(if $(filter 1,$(STRICT)),-Werror all-warnings -Xcompiler -Werror) -MMD -MP
# the CPU emulation of CUDA (tests/cuda/fake)
fake_run   := $(patsubst %,$(B)/fake/%.o,$(basename $(sort $(wildcard tests/cuda/harness/*.cc \
                tests/cuda/fake/*.c tests/cuda/fake/*.cc))))
fake_obj   := $(cuda_src:%.c=$(B)/fake/%.o) $(cuda_kern:%.cu=$(B)/fake/%.o) $(fake_run)
fake       := $(B)/fake/mien-cuda.so
# the same with kernels that tell what they touch (tests/cuda/trace), for the bytes of bench/gpu/cost.sh
traced_obj := $(filter-out $(cuda_kern:%.cu=$(B)/fake/%.o),$(fake_obj)) $(cuda_kern:%.cu=$(B)/traced/%.o) \
              $(B)/fake/tests/cuda/trace/trace.o
traced     := $(if $(SAN),,$(B)/traced/mien-cuda.so)
SHIM       := -isystem tests/cuda/shim
# listed because -MMD leaves out headers of -isystem
shim_h     := $(wildcard tests/cuda/shim/*.h tests/cuda/shim/*/*.h)
# a block's threads are fibres with separate stacks; statics must not be shared between libraries
HARNESS    := $(SHIM) -fdata-sections -fvisibility=hidden -fno-gnu-unique

# ---- build ------------------------------------------------------------------------------------
.PHONY: all
all: required ## build build/mien and its helpers (V=1 shows the commands)
	@$(MAKE) --no-print-directory -j$(J) programs

# Removes mien-h5 and modules of an earlier build if this one is without them.
.PHONY: programs
programs: $(programs)
	@rm -f $(filter-out $(programs),$(wildcard $(B)/mien-h5 $(B)/mien-decode $(B)/mien-*.so))
	@$(if $(SAN),,ln -sfn $(VARIANT)/mien build/mien)

# $(call stamp,NAME,TEXT) writes $(B)/NAME only if TEXT has changed, so that files can depend on flags.
define stamp
$(B)/$(1): FORCE
	@mkdir -p $$(@D)
	@printf '%s' '$(2)' | cmp -s - $$@ || printf '%s' '$(2)' >$$@
endef
.PHONY: FORCE
$(eval $(call stamp,.flags,$(CC) $(CFLAGS) $(KERNEL) $(CXX) $(CXXFLAGS)))
$(eval $(call stamp,.flags-cuda,$$(NVCC) $$(NVCCFLAGS)))
$(eval $(call stamp,.features,hdf5 $(USE_HDF5) opencv $(USE_OPENCV)))
$(eval $(call stamp,.carry,$(CARRY)))
$(eval $(call stamp,.commit,$(COMMIT)))

$(B)/%.o: %.c $(B)/.flags
	@mkdir -p $(@D)
	$(call say,CC $<)$(CC) $(CFLAGS) $(cflags_$(subst /,_,$(*D))) -c $< -o $@

# the files that it embeds
$(B)/host/serve/page.o: $(wildcard host/serve/page/*)

says_commit := $(addprefix $(B)/host/cli/,version.o cmd_bench.o cmd_devices.o)
$(says_commit): $(B)/.commit
$(says_commit): \
  CFLAGS += -DMIEN_COMMIT='"$(COMMIT)"' -DMIEN_FLAGS='"$(OPT) $(NUMERIC)"'
cflags_host_h5 = $(shell pkg-config --cflags hdf5 json-c libseccomp)
cflags_tests_cuda = $(SHIM)
cflags_tests_h5 = $(shell pkg-config --cflags hdf5 2>/dev/null)

# the peak measurement uses fused multiply-adds if the ISA has them; no result depends on this file
$(B)/kernels/cpu/peak.%.o: CFLAGS += -ffp-contract=fast

define kernel_build
$(B)/kernels/cpu/%.$(1).o: kernels/cpu/%.c $(B)/.flags
	@mkdir -p $$(@D)
	$$(call say,CC $$< ($(1)))$$(CC) $$(CFLAGS) $$(KERNEL) -march=x86-64-$(1) -DCPU_BUILD=$(1) -c $$< -o $$@
endef
$(foreach v,$(isa),$(eval $(call kernel_build,$(v))))
$(B)/%.f64.o: %.c $(B)/.flags
	@mkdir -p $(@D)
	$(call say,CC $< (f64))$(CC) $(CFLAGS) -march=x86-64-v3 -Wno-psabi -DCPU_BUILD=f64 -DMIEN_REAL_DOUBLE -c $< -o $@

$(B)/host/%.o: host/%.cc $(B)/.flags
	@mkdir -p $(@D)
	$(call say,CXX $<)$(CXX) $(CXXFLAGS) $(cxxflags_$(subst /,_,host/$(*D))) -c $< -o $@

$(B)/libmien.a: $(lib_obj) $(B)/.features
	@rm -f $@
	$(call say,AR $@)ar rcs $@ $(lib_obj)

# the same code as a shared library; only the functions of include/mien are visible
soname := libmien.so.$(firstword $(subst ., ,$(VERSION)))
$(B)/$(soname): $(lib_obj) $(B)/.features host/api/libmien.map
	$(call say,LD $@)$(CC) -shared $(LINK) $(lib_obj) -o $@ -Wl,-soname,$(soname) \
	  -Wl,--version-script=host/api/libmien.map $(if $(SAN),,-Wl$(comma)-z$(comma)defs) $(LIBS) $(call rpath,/mien)
$(B)/libmien.so: $(B)/$(soname)
	@ln -sfn $(<F) $@

# features that were not turned off but whose packages are missing
absent := $(strip $(foreach f,HDF5 OPENCV VIDEO WINDOW SERVE,$(if $(filter auto0,$($(f))$(USE_$(f))),$(f))))
$(B)/mien: $(cli_obj) $(B)/libmien.a
	$(call say,LD $@)$(CC) $(LINK) $^ -o $@ $(LIBS) $(call rpath,/../lib/mien)
	@$(if $(absent),echo 'Built without $(absent) (make config says why): `make deps` installs the packages.')

# ---- modules --------------------------------------------------------------------------------------
$(B)/libbase.a: $(base_obj)
	@rm -f $@
	$(call say,AR $@)ar rcs $@ $^

# $(call module,NAME,FOLDER,LIBRARIES,SOURCES) links mien-NAME.so from the sources in FOLDER, which are compiled with
# cflags_FOLDER or cxxflags_FOLDER, and from SOURCES of the program
define module
$(1)_src := $$(sort $$(wildcard $(2)/*.c $(2)/*.cc)) $(4)
$(B)/mien-$(1).so: $$(patsubst %,$$(B)/%.o,$$(basename $$($(1)_src))) $(B)/libbase.a host/base/module.map
	$$(call say,LD $$@)$$(CXX) -shared $$(filter-out -MMD -MP,$$(CXXFLAGS)) -fopenmp $$(filter %.o %.a,$$^) -o $$@ \
	  -Wl,--version-script=host/base/module.map -Wl,-z,defs $$(call rpath,) $(3) $$(base_libs)
endef
cxxflags_host_vision_opencv := -isystem $(OPENCV_INC)
cflags_host_window_sdl = $(shell pkg-config --cflags sdl2)
$(eval $(call module,window,host/window/sdl,$$(shell pkg-config --libs sdl2)))
$(eval $(call module,vision,host/vision/opencv,-lopencv_objdetect -lopencv_dnn -lopencv_imgproc -lopencv_core))
cflags_host_video_av = $(shell pkg-config --cflags $(ffmpeg))
$(eval $(call module,video,host/video/av,$$(shell pkg-config --libs $(ffmpeg)),host/video/frame.c host/video/times.c \
  host/image/picture.c))
cflags_host_serve_http = $(shell pkg-config --cflags libmicrohttpd)
$(eval $(call module,serve,host/serve/http,$$(shell pkg-config --libs libmicrohttpd)))

# ---- the GPU module -----------------------------------------------------------------------------

$(B)/fake/%.o: %.c $(B)/.flags $(shim_h)
	@mkdir -p $(@D)
	$(call say,CC $< (fake))$(CC) $(CFLAGS) $(SHIM) -c $< -o $@
$(B)/fake/%.o: %.cc $(B)/.flags $(shim_h)
	@mkdir -p $(@D)
	$(call say,CXX $< (fake))$(CXX) $(CXXFLAGS) $(HARNESS) -c $< -o $@
$(B)/fake/%.o: %.cu $(B)/.flags $(shim_h)
	@mkdir -p $(@D)
	$(call say,CXX $< (fake))$(CXX) -x c++ $(CXXFLAGS) $(HARNESS) -c $< -o $@

$(B)/cuda/%.o: %.c $(B)/.flags
	@mkdir -p $(@D)
	$(call say,CC $<)$(CC) $(CFLAGS) -isystem $(CUDA_HOME)/include -c $< -o $@
$(B)/cuda/%.o: %.cu $(B)/.flags-cuda
	@mkdir -p $(@D)
	$(call say,NVCC $<)$(NVCC) $(NVCCFLAGS) -c $< -o $@

# the loader looks for cuDNN and cuBLASLt next to the module first
$(B)/mien-cuda.so: $(cuda_obj) $(B)/libbase.a host/base/module.map
	$(call say,LD $@)$(CXX) -shared $(cuda_obj) $(B)/libbase.a -o $@ \
	  -Wl,--version-script=host/base/module.map -Wl,-z,defs \
	  $(call rpath,) -L$(CUDA_HOME)/lib64 -lcudnn -lcublasLt \
	  -lcudart_static $(base_libs) -lrt -fopenmp

fake_link = $(CXX) -shared $(filter-out -MMD -MP,$(CXXFLAGS)) -fopenmp \
  -Wl,--version-script=tests/cuda/fake/module.map -Wl,-T,tests/cuda/harness/shared.ld -Wl,-z,defs
$(B)/fake/mien-cuda.so: $(fake_obj) $(B)/libbase.a tests/cuda/fake/module.map
	$(call say,LD $@)$(fake_link) $(fake_obj) $(B)/libbase.a $(base_libs) -o $@

$(B)/traced/%.o: %.cu $(B)/.flags $(shim_h)
	@mkdir -p $(@D)
	$(call say,CXX $< (traced))$(CXX) -x c++ $(CXXFLAGS) $(HARNESS) -O1 -g0 -fsanitize=thread -c $< -o $@
$(B)/traced/mien-cuda.so: $(traced_obj) $(B)/libbase.a tests/cuda/fake/module.map
	$(call say,LD $@)$(fake_link) $(traced_obj) $(B)/libbase.a $(base_libs) -o $@

# print commands for tests/gate/test_mutants.sh, which recompiles single kernels and links the module
.PHONY: fake-compile fake-link fake-objects
fake-compile:
	@echo $(CXX) -x c++ $(filter-out -I. -MMD -MP,$(CXXFLAGS)) $(HARNESS) -O1 -g0
fake-link:
	@echo $(fake_link)
fake-objects:
	@echo $(fake_obj) $(B)/libbase.a $(base_libs)

# mien-h5 is built without sanitizers: the sandbox's memory limit is too low for their shadow memory.
# HDF5's shared library depends on thirty others (curl, Kerberos, …) that mien-h5 never uses, so for an
# archive with libraries (CARRY=1) HDF5 is linked statically.
hdf5_libs := $(shell pkg-config --libs hdf5 2>/dev/null)
ifeq ($(CARRY),1)
  hdf5_libs := -Wl,-Bstatic $(hdf5_libs) -Wl,-Bdynamic -lsz -lz -lm -ldl
endif
$(B)/mien-h5: $(h5_src) $(wildcard host/h5/*.h) $(B)/.flags $(B)/.carry
	@mkdir -p $(@D)
	$(call say,LD $@)$(CC) -std=c11 -D_GNU_SOURCE -I. -O2 $(WARN) $(cflags_host_h5) $(h5_src) -o $@ \
	  $(hdf5_libs) $(shell pkg-config --libs json-c libseccomp) $(call rpath,)

# mien-decode has no sanitizers for the same reason; the decoders are tested with them in tests/unit.
decode_src += $(sort $(wildcard host/image/*.c)) $(filter-out %/services.c,$(sort $(wildcard host/base/*.c)))
$(B)/mien-decode: $(decode_src) $(wildcard host/decode/*.h host/image/*.h host/base/*.h host/sandbox/*.h) $(B)/.flags
	@mkdir -p $(@D)
	$(call say,LD $@)$(CC) -std=c11 -D_GNU_SOURCE -I. -O2 $(WARN) $(NUMERIC) -fopenmp $(decode_src) -o $@ \
	  $(shell pkg-config --libs json-c yaml-0.1 zlib libjpeg libpng libseccomp) -ldl -lm $(call rpath,)

# objects of the files in a test folder that are not tests themselves
helpers = $(patsubst %.c,$(B)/%.o,$(filter-out $(wildcard $(1)test_*.c),$(wildcard $(1)*.c)))

# A test links the library, the reference build, tests/support and the other files of its folder.
.SECONDEXPANSION:
$(linked_bin): $(B)/%: $(B)/%.o $$(call helpers,$$(dir $$*)) $(support) $(ref_obj) $(B)/libmien.a
	$(call say,LD $@)$(CC) $(LINK) $^ -o $@ $(LIBS) $(shell pkg-config --libs cmocka 2>/dev/null) $(call rpath,/../../lib/mien) \
	  $(if $(findstring tests/h5/,$@),$(shell pkg-config --libs hdf5 2>/dev/null))

# tests of the harness and of launchers without a slot link the kernels; the others load the module
$(harness_test): %: %.o $(B)/fake/tests/cuda/harness_kernels.o \
                 $(cuda_kern:%.cu=$(B)/fake/%.o) $(fake_run)
	$(call say,LD $@)$(CXX) $(filter-out -MMD -MP,$(CXXFLAGS)) $^ -o $@ -Wl,-T,tests/cuda/harness/shared.ld \
	  $(shell pkg-config --libs cmocka 2>/dev/null) -ldl -lm -lpthread

-include $(shell find build/$(VARIANT) -name '*.d' 2>/dev/null)

# ---- set-up -----------------------------------------------------------------------------------
needed   := $(DEB_NEED) $(if $(filter 1,$(HDF5)),$(DEB_HDF5)) $(if $(filter 1,$(OPENCV)),$(DEB_OPENCV)) \
            $(if $(filter 1,$(VIDEO)),$(DEB_VIDEO)) $(if $(filter 1,$(WINDOW)),$(DEB_WINDOW)) \
            $(if $(filter 1,$(SERVE)),$(DEB_SERVE))
packages := $(DEB_NEED) $(if $(filter 0,$(HDF5)),,$(DEB_HDF5)) $(if $(filter 0,$(OPENCV)),,$(DEB_OPENCV)) \
            $(if $(filter 0,$(VIDEO)),,$(DEB_VIDEO)) $(if $(filter 0,$(WINDOW)),,$(DEB_WINDOW)) \
            $(if $(filter 0,$(SERVE)),,$(DEB_SERVE)) $(DEB_LOADED) $(DEB_CHECK)

.PHONY: deps required packages gate-packages
deps: ## install the Debian packages that a build and its tests need
	@bash scripts/deps.sh install $(packages) $(DEB_TOOLS)
# a plain build installs nothing: it stops if a package is missing
required:
	@bash scripts/deps.sh check $(needed)
packages:
	@bash scripts/deps.sh install $(packages)
gate-packages:
	@bash scripts/deps.sh install $(packages) $(DEB_GATE)

.PHONY: demo
demo: packages ## build, train on generated faces, evaluate: under two minutes; installs missing packages
	@$(MAKE) --no-print-directory -j$(J) programs
	@bash scripts/demo.sh

# ---- checks -----------------------------------------------------------------------------------
.PHONY: check check-gate tests
check: packages ## the tests for every change (under 2 minutes after the build)
	@$(MAKE) --no-print-directory -j$(J) programs tests
	@bash tests/support/run.sh $(B) check

tests: $(test_bin) $(fake) $(traced)

check-gate: gate-packages ## longer tests: sanitizers, all shapes, mutants
	@$(MAKE) --no-print-directory -j$(J) programs tests
	@bash tests/support/run.sh $(B) gate

.PHONY: check-isa
check-isa: packages ## the tests that depend on the instruction set, with each that this CPU supports
	@$(MAKE) --no-print-directory -j$(J) programs tests
	@bash tests/support/run.sh $(B) isa

.PHONY: check-all
check-all: check check-gate ## all tests, full-size training included (needs MIEN_DATA)
	@bash tests/support/run.sh $(B) all

.PHONY: check-gpu bench-gpu
check-gpu: ## tests on a GPU, in twelve minutes (ARCHIVE=FILE of `make dist CARRY=1`; docs/gpu.md)
	@ARCHIVE='$(ARCHIVE)' bash bench/gpu/day.sh check sanitizers
bench-gpu: ## speed on this GPU compared with PyTorch, in ten minutes (ARCHIVE as above; docs/gpu.md)
	@ARCHIVE='$(ARCHIVE)' bash bench/gpu/day.sh bench

.PHONY: asan ubsan
asan ubsan: ## the tests under a sanitizer
	@$(MAKE) --no-print-directory SAN=$(subst asan,address,$(subst ubsan,undefined,$@)) check

.PHONY: bench
bench: required ## speed of training and inference on this machine (docs/bench.md)
	@$(MAKE) --no-print-directory -j$(J) programs
	@MIEN=$(B)/mien bash bench/run.sh $(BENCH)

.PHONY: format lint
format: ## apply .clang-format
	clang-format -i $(shell git ls-files '*.c' '*.h' '*.cc' '*.cu' '*.cuh')
lint: ## check source rules: includes, names, lengths, format
	@bash tests/lint/test_rules.sh

# Needs the venv of bench/peers/README.md; more options: make bench-peers PEERS_FLAGS="--what int8 ..."
PEERS_PYTHON ?= python3
PEERS_FLAGS  ?= --what train,infer,latency
.PHONY: bench-growth
bench-growth: all ## speed by batch size, threads, image size and rows
	@python3 bench/growth.py --mien $(B)/mien $(GROWTH)

.PHONY: bench-peers
bench-peers: all ## Mien compared with PyTorch, Keras, ONNX Runtime, OpenVINO (PEERS_PYTHON=venv/bin/python)
	@$(PEERS_PYTHON) bench/compare.py --mien $(B)/mien $(PEERS_FLAGS)
	@$(PEERS_PYTHON) bench/contention.py --mien $(B)/mien $(PEERS_FLAGS)

# ---- the rest ---------------------------------------------------------------------------------
.PHONY: config
config: ## show which features this build has, why, and how to force them
	@printf '%-8s %-4s %-45s %s\n' feature on why force
	@printf '%-8s %-4s %-45s %s\n' hdf5 $(if $(filter 1,$(USE_HDF5)),yes,no) '$(WHY_HDF5)' 'HDF5=1 or HDF5=0'
	@printf '%-8s %-4s %-45s %s\n' opencv $(if $(filter 1,$(USE_OPENCV)),yes,no) '$(WHY_OPENCV)' 'OPENCV=1 or OPENCV=0'
	@printf '%-8s %-4s %-45s %s\n' video $(if $(filter 1,$(USE_VIDEO)),yes,no) "$(WHY_VIDEO)" 'VIDEO=1 or VIDEO=0'
	@printf '%-8s %-4s %-45s %s\n' window $(if $(filter 1,$(USE_WINDOW)),yes,no) '$(WHY_WINDOW)' 'WINDOW=1 or WINDOW=0'
	@printf '%-8s %-4s %-45s %s\n' serve $(if $(filter 1,$(USE_SERVE)),yes,no) "$(WHY_SERVE)" 'SERVE=1 or SERVE=0'
	@printf '%-8s %-4s %-45s %s\n' cuda $(if $(filter 1,$(USE_CUDA)),yes,no) '$(WHY_CUDA)' 'CUDA=1 or CUDA=0'
	@$(if $(filter 1,$(USE_CUDA)),echo 'cuda is compiled for $(patsubst code=%,%,$(filter code=%,$(subst $(comma), ,$(gencode))))')

# where install puts files
to := $(DESTDIR)$(PREFIX)
.PHONY: install install-files uninstall
install: all ## copy programs, libraries, headers, recipes, man pages and completions to PREFIX
	@$(MAKE) --no-print-directory install-files
# of a finished build
install-files:
	$(call say,INSTALL $(to))install -d $(to)/bin $(to)/lib/mien $(to)/lib/pkgconfig $(to)/include/mien \
	  $(to)/share/mien $(to)/share/man/man1
	$(quiet)install $(B)/mien $(to)/bin/
	$(quiet)install $(wildcard $(B)/mien-h5 $(B)/mien-decode $(B)/mien-*.so) $(to)/lib/mien/
	$(quiet)install -m 644 $(B)/libmien.a $(B)/$(soname) $(to)/lib/
	$(quiet)ln -sfn $(soname) $(to)/lib/libmien.so
	$(quiet)install -m 644 include/mien/*.h $(to)/include/mien/
	$(quiet)printf 'Name: mien\nDescription: emotion from faces: training and prediction\nVersion: %s\nCflags: -I%s/include\nLibs: -L%s/lib -lmien\nLibs.private: %s -fopenmp\n' \
	  '$(VERSION)' '$(PREFIX)' '$(PREFIX)' '$(strip $(LIBS))' > $(to)/lib/pkgconfig/mien.pc
	$(quiet)cp -r configs $(wildcard models) $(to)/share/mien/
	$(quiet)$(if $(filter 1,$(USE_OPENCV)),install -m 644 -D -t $(to)/share/mien/haarcascades $(wildcard $(CASCADE)))
	$(quiet)bash scripts/man.sh $(B)/mien $(to)/share/man/man1
	$(quiet)install -d $(to)/share/bash-completion/completions $(to)/share/zsh/site-functions
	$(quiet)bash scripts/completion.sh $(B)/mien bash > $(to)/share/bash-completion/completions/mien
	$(quiet)bash scripts/completion.sh $(B)/mien zsh > $(to)/share/zsh/site-functions/_mien
uninstall: ## remove what install copied to PREFIX
	$(call say,UNINSTALL $(to))rm -rf $(to)/bin/mien $(to)/lib/mien $(to)/lib/libmien.a $(to)/lib/libmien.so \
	  $(to)/lib/libmien.so.[0-9]* $(to)/lib/pkgconfig/mien.pc $(to)/include/mien $(to)/share/mien \
	  $(to)/share/man/man1/mien.1 $(to)/share/man/man1/mien-*.1 \
	  $(to)/share/bash-completion/completions/mien $(to)/share/zsh/site-functions/_mien

.PHONY: deb deb-files
deb: all ## make a Debian package: build/mien_VERSION_ARCHITECTURE.deb
	@$(MAKE) --no-print-directory deb-files
deb-files:
	@rm -rf $(B)/deb
	@$(MAKE) --no-print-directory -s install-files DESTDIR=$(abspath $(B)/deb) PREFIX=/usr
	@bash scripts/deb.sh $(B) $(VERSION) $(DEB_LOADED)

.PHONY: dist
dist: all ## make an archive to install from; CARRY=1 adds libraries and GPU tests, for a machine without them
	@$(if $(filter 1,$(CARRY)),$(MAKE) --no-print-directory -j$(J) $(traced) $(filter $(B)/tests/cuda/%,$(test_bin)))
	@rm -rf $(B)/dist
	@$(MAKE) --no-print-directory install DESTDIR=$(abspath $(B)/dist/mien) PREFIX= >/dev/null
	@bash scripts/dist.sh $(B) $(VERSION) $(COMMIT) $(CARRY)

.PHONY: clean
clean: ## remove build/
	rm -rf build

.PHONY: help
help: ## show this list
	@sed -n 's/^\([a-z][a-z -]*\):.*## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | \
	  awk -F'\t' '{printf "  %-18s %s\n", $$1, $$2}'
