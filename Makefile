# Mien's one build entry. `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := all
MAKEFLAGS += --no-builtin-rules

# ---- Debian packages: the one place that names them -------------------------------------------
DEB_NEED  := gcc g++ make pkg-config libdnnl-dev libjson-c-dev libyaml-dev zlib1g-dev \
             libjpeg62-turbo-dev libpng-dev
DEB_HDF5  := libhdf5-dev libseccomp-dev
DEB_OPENCV := libopencv-core-dev libopencv-imgproc-dev libopencv-objdetect-dev opencv-data
DEB_CHECK := libcmocka-dev
DEB_TOOLS := clang clang-format valgrind

# ---- choices ----------------------------------------------------------------------------------
CARRY   ?=#         dist: 1 packs all that a bare GPU machine lacks; check-gpu, bench-gpu: that archive
ifeq ($(CARRY),1)
  CUDA_ARCHS ?= 90
  OPENCV     ?= 0
endif
HDF5    ?= auto#    read and write .h5: auto|1|0
OPENCV  ?= auto#    find faces in photos: auto|1|0
CUDA    ?= auto#    the GPU module, needs NVIDIA's toolkit, cuDNN and cuBLASLt: auto|1|0
CUDA_ARCHS ?= 75 80 86 89 90 100
STRICT  ?= 0#       1: warnings are errors
SAN     ?=#         address, undefined or thread: a sanitizer build of its own
VARIANT ?= $(if $(SAN),$(SAN),release)
PREFIX  ?= /usr/local
CC      := $(if $(filter default,$(origin CC)),gcc,$(CC))
CXX     := $(if $(filter default,$(origin CXX)),g++,$(CXX))
B       := build/$(VARIANT)
J       ?= $(shell nproc)

have = $(shell pkg-config --exists $(1) 2>/dev/null && echo 1)
ifeq ($(HDF5),auto)
  USE_HDF5 := $(if $(and $(call have,hdf5),$(call have,libseccomp)),1,0)
  WHY_HDF5 := $(if $(filter 1,$(USE_HDF5)),found libhdf5 and libseccomp,libhdf5-dev or libseccomp-dev is missing)
else
  USE_HDF5 := $(HDF5)
  WHY_HDF5 := asked for with HDF5=$(HDF5)
endif
# Debian's opencv4.pc comes with all of OpenCV; three libraries are wanted
OPENCV_INC ?= /usr/include/opencv4
CASCADE    ?= /usr/share/opencv4/haarcascades/haarcascade_frontalface_default.xml
ifeq ($(OPENCV),auto)
  USE_OPENCV := $(if $(wildcard $(OPENCV_INC)/opencv2/objdetect.hpp),1,0)
  WHY_OPENCV := $(if $(filter 1,$(USE_OPENCV)),found $(OPENCV_INC),libopencv-objdetect-dev is missing)
else
  USE_OPENCV := $(OPENCV)
  WHY_OPENCV := asked for with OPENCV=$(OPENCV)
endif

NVCC      ?= $(firstword $(shell command -v nvcc 2>/dev/null) $(wildcard /usr/local/cuda/bin/nvcc))
CUDA_HOME ?= $(patsubst %/bin/nvcc,%,$(NVCC))
no_cuda   := $(if $(NVCC),$(if $(wildcard $(CUDA_HOME)/include/cudnn.h),$(if $(wildcard \
               $(CUDA_HOME)/include/cublasLt.h),,no cublasLt.h in $(CUDA_HOME)),no cudnn.h in \
               $(CUDA_HOME)),no nvcc on PATH or in /usr/local/cuda)
ifeq ($(CUDA),auto)
  USE_CUDA := $(if $(no_cuda)$(SAN),0,1)
  WHY_CUDA := $(or $(no_cuda),$(if $(SAN),not under a sanitizer,found $(CUDA_HOME)))
else
  USE_CUDA := $(CUDA)
  WHY_CUDA := asked for with CUDA=$(CUDA)
  $(if $(and $(filter 1,$(CUDA)),$(no_cuda)),$(error CUDA=1: $(no_cuda); set NVCC, or build with CUDA=0))
endif

# ---- flags ------------------------------------------------------------------------------------
# No value changes come from these: see docs/numerics.md before touching one.
NUMERIC  := -ffp-contract=off -fno-math-errno -fno-trapping-math
VERSION  := $(shell sed -n 's/^\#define MIEN_VERSION "\(.*\)"/\1/p' include/mien/mien.h)
COMMIT   := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
            $(if $(filter 1,$(STRICT)),-Werror)
OPT      := $(if $(SAN),-O1 -g -fno-omit-frame-pointer -fsanitize=$(SAN),-O2 -g)
CFLAGS   += -std=c11 -D_GNU_SOURCE -I. $(OPT) $(WARN) $(NUMERIC) -fopenmp -fPIC -MMD -MP
CXXFLAGS += -std=c++17 -D_GNU_SOURCE -I. $(OPT) -Wall -Wextra -Wno-unknown-pragmas \
            $(if $(filter 1,$(STRICT)),-Werror) $(NUMERIC) -fPIC -MMD -MP
# a link writes no dependencies: it would overwrite those of the object with its name
LINK      = $(filter-out -MMD -MP,$(CFLAGS))
KERNEL   := $(if $(SAN),,-O3) -mprefer-vector-width=512 -Wno-psabi
# An unpacked archive brings libraries in lib/mien (make dist). RPATH and not RUNPATH: those of a library
# are found as well, also by mien-h5, which runs without an environment.
rpath     = -Wl,--disable-new-dtags,-rpath,'$$ORIGIN$(1)'
LIBS     := -ldnnl $(shell pkg-config --libs json-c yaml-0.1 zlib libjpeg libpng 2>/dev/null) \
            $(if $(filter 1,$(USE_OPENCV)),-lopencv_objdetect -lopencv_imgproc -lopencv_core -lstdc++) -ldl -lm

# ---- sources ----------------------------------------------------------------------------------
rooms     := base image vision backend layers graph data formats infer eval train bench report
lib_src   := $(sort $(foreach r,$(rooms),$(wildcard host/$(r)/*.c)))
lib_src   := $(filter-out host/backend/plain.c host/vision/haar_absent.c,$(lib_src)) \
             $(if $(filter 1,$(USE_OPENCV)),host/vision/haar.cc,host/vision/haar_absent.c)
cli_src   := $(sort $(wildcard host/cli/*.c))
h5_src    := $(sort $(wildcard host/h5/*.c))
kernels   := $(sort $(wildcard kernels/cpu/*.c))
isa       := v2 v3 v4
lib_obj   := $(patsubst %,$(B)/%.o,$(basename $(lib_src))) $(foreach v,$(isa),$(kernels:%.c=$(B)/%.$(v).o))
cli_obj   := $(cli_src:%.c=$(B)/%.o)
h5_obj    := $(h5_src:%.c=$(B)/%.o)
# the double reference build, linked by tests only
ref_obj   := $(kernels:%.c=$(B)/%.f64.o) $(B)/host/backend/cpu_glue.f64.o \
             $(B)/host/backend/plain.f64.o $(B)/host/backend/plain.o
support   := $(patsubst %.c,$(B)/%.o,$(sort $(wildcard tests/support/*.c)))
test_src  := $(sort $(wildcard tests/*/test_*.c))
test_bin  := $(test_src:%.c=$(B)/%)
harness_test := $(addprefix $(B)/tests/cuda/,test_harness test_launchers)
linked_bin := $(filter-out $(harness_test),$(test_bin))
programs  := $(B)/mien $(if $(filter 1,$(USE_HDF5)),$(B)/mien-h5) \
             $(if $(filter 1,$(USE_CUDA)),$(B)/mien-cuda.so)

comma := ,
# the GPU module: its sources, and what it takes from host/base; sentences and log lines are the program's
cuda_src   := $(sort $(wildcard host/backend/cuda/*.c))
cuda_kern  := $(sort $(wildcard kernels/cuda/*.cu))
cuda_base  := $(filter-out %/status.o %/log.o %/module.o,$(filter $(B)/host/base/%,$(lib_obj))) \
              $(B)/host/backend/names.o
cuda_libs  := $(shell pkg-config --libs json-c 2>/dev/null) -ldl -lm -lpthread
cuda_obj   := $(cuda_src:%.c=$(B)/cuda/%.o) $(cuda_kern:%.cu=$(B)/cuda/%.o)
newest     := $(lastword $(CUDA_ARCHS))
# arithmetic as on the CPU: see docs/numerics.md
NVCCFLAGS  := -std=c++17 -O3 -I. -fmad=false -ftz=true -prec-div=true -prec-sqrt=true \
              $(foreach a,$(CUDA_ARCHS),-gencode arch=compute_$(a)$(comma)code=sm_$(a)) \
              -gencode arch=compute_$(newest),code=compute_$(newest) --threads 2 \
              -ccbin $(CXX) -Xcompiler -fPIC,-Wall,-ffp-contract=off -MMD -MP
# the same on a GPU that is none (tests/cuda/fake)
fake_run   := $(patsubst %,$(B)/fake/%.o,$(basename $(sort $(wildcard tests/cuda/harness/*.cc \
                tests/cuda/fake/*.c tests/cuda/fake/*.cc))))
fake_obj   := $(cuda_src:%.c=$(B)/fake/%.o) $(cuda_kern:%.cu=$(B)/fake/%.o) $(fake_run)
fake       := $(B)/fake/mien-cuda.so
SHIM       := -isystem tests/cuda/shim
# a system's headers are in no list of dependencies
shim_h     := $(wildcard tests/cuda/shim/*.h tests/cuda/shim/*/*.h)
# threads of a block are fibres: no stack of the system's, no statics that others may see
HARNESS    := $(SHIM) -fdata-sections -fvisibility=hidden -fno-gnu-unique

# ---- build ------------------------------------------------------------------------------------
.PHONY: all
all: need ## build the programs: build/mien and its helpers
	@$(MAKE) --no-print-directory -j$(J) programs

.PHONY: programs
programs: $(programs)
	@$(if $(SAN),,ln -sfn $(VARIANT)/mien build/mien)

# Objects depend on how they are made: a stamp that changes with compiler and flags, one with the commit.
$(shell mkdir -p $(B); \
  printf '%s' '$(CC) $(CFLAGS) $(KERNEL)' | cmp -s - $(B)/.flags || printf '%s' '$(CC) $(CFLAGS) $(KERNEL)' > $(B)/.flags; \
  printf '%s' '$(USE_OPENCV)' | cmp -s - $(B)/.opencv || printf '%s' '$(USE_OPENCV)' > $(B)/.opencv; \
  printf '%s' '$(CARRY)' | cmp -s - $(B)/.hdf5 || printf '%s' '$(CARRY)' > $(B)/.hdf5; \
  printf '%s' '$(COMMIT)' | cmp -s - $(B)/.commit || printf '%s' '$(COMMIT)' > $(B)/.commit; \
  printf '%s' '$(NVCC) $(NVCCFLAGS)' | cmp -s - $(B)/.flags-cuda || printf '%s' '$(NVCC) $(NVCCFLAGS)' > $(B)/.flags-cuda; \
  [ $(USE_HDF5) = 1 ] || rm -f $(B)/mien-h5; [ $(USE_CUDA) = 1 ] || rm -f $(B)/mien-cuda.so)

$(B)/%.o: %.c $(B)/.flags
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(cflags_$(subst /,_,$(*D))) -c $< -o $@

says_commit := $(addprefix $(B)/host/cli/,version.o cmd_bench.o cmd_devices.o)
$(says_commit): $(B)/.commit
$(says_commit): \
  CFLAGS += -DMIEN_COMMIT='"$(COMMIT)"' -DMIEN_FLAGS='"$(OPT) $(NUMERIC)"'
cflags_host_h5 = $(shell pkg-config --cflags hdf5 json-c libseccomp)
cflags_tests_cuda = $(SHIM)
cflags_tests_h5 = $(shell pkg-config --cflags hdf5 2>/dev/null)

# the peak is that of fused multiply-adds wherever the ISA has them; no result depends on this file
$(B)/kernels/cpu/peak.%.o: CFLAGS += -ffp-contract=fast

define kernel_build
$(B)/kernels/cpu/%.$(1).o: kernels/cpu/%.c $(B)/.flags
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS) $$(KERNEL) -march=x86-64-$(1) -DCPU_BUILD=$(1) -c $$< -o $$@
endef
$(foreach v,$(isa),$(eval $(call kernel_build,$(v))))
$(B)/%.f64.o: %.c $(B)/.flags
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -march=x86-64-v3 -Wno-psabi -DCPU_BUILD=f64 -DMIEN_REAL_DOUBLE -c $< -o $@

# the one room in C++ of the program itself
$(B)/host/vision/%.o: host/vision/%.cc $(B)/.flags
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) -isystem $(OPENCV_INC) -c $< -o $@

$(B)/libmien.a: $(lib_obj) $(B)/.opencv
	@rm -f $@
	ar rcs $@ $(lib_obj)

$(B)/mien: $(cli_obj) $(B)/libmien.a
	$(CC) $(LINK) $^ -o $@ $(LIBS) $(call rpath,/../lib/mien)

# ---- the GPU module -----------------------------------------------------------------------------
$(B)/libbase.a: $(cuda_base)
	@rm -f $@
	ar rcs $@ $^

$(B)/fake/%.o: %.c $(B)/.flags $(shim_h)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SHIM) -c $< -o $@
$(B)/fake/%.o: %.cc $(B)/.flags $(shim_h)
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) $(HARNESS) -c $< -o $@
$(B)/fake/%.o: %.cu $(B)/.flags $(shim_h)
	@mkdir -p $(@D)
	$(CXX) -x c++ $(CXXFLAGS) $(HARNESS) -c $< -o $@

$(B)/cuda/%.o: %.c $(B)/.flags
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -isystem $(CUDA_HOME)/include -c $< -o $@
$(B)/cuda/%.o: %.cu $(B)/.flags-cuda
	@mkdir -p $(@D)
	$(NVCC) $(NVCCFLAGS) -c $< -o $@

# cuDNN and cuBLASLt are looked for beside the module first
$(B)/mien-cuda.so: $(cuda_obj) $(B)/libbase.a host/backend/cuda/module.map
	$(CXX) -shared $(cuda_obj) $(B)/libbase.a -o $@ \
	  -Wl,--version-script=host/backend/cuda/module.map -Wl,-z,defs \
	  $(call rpath,) -L$(CUDA_HOME)/lib64 -lcudnn -lcublasLt \
	  -lcudart_static $(cuda_libs) -lrt -fopenmp

fake_link = $(CXX) -shared $(filter-out -MMD -MP,$(CXXFLAGS)) -fopenmp \
  -Wl,--version-script=tests/cuda/fake/module.map -Wl,-T,tests/cuda/harness/shared.ld -Wl,-z,defs
$(B)/fake/mien-cuda.so: $(fake_obj) $(B)/libbase.a tests/cuda/fake/module.map
	$(fake_link) $(fake_obj) $(B)/libbase.a $(cuda_libs) -o $@

# for tests/gate/test_mutants.sh: how a kernel and the module are made, quickly
.PHONY: fake-compile fake-link fake-objects
fake-compile:
	@echo $(CXX) -x c++ $(filter-out -I. -MMD -MP,$(CXXFLAGS)) $(HARNESS) -O1 -g0
fake-link:
	@echo $(fake_link)
fake-objects:
	@echo $(fake_obj) $(B)/libbase.a $(cuda_libs)

# The sandbox's limits leave no room for a sanitizer's shadow memory: this one is built plain.
# HDF5's shared library brings thirty others (curl, Kerberos, …) for what mien-h5 never does; to carry it is linked in.
hdf5_libs := $(shell pkg-config --libs hdf5 2>/dev/null)
ifeq ($(CARRY),1)
  hdf5_libs := -Wl,-Bstatic $(hdf5_libs) -Wl,-Bdynamic -lsz -lz -lm -ldl
endif
$(B)/mien-h5: $(h5_src) $(wildcard host/h5/*.h) $(B)/.flags $(B)/.hdf5
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_GNU_SOURCE -I. -O2 $(WARN) $(cflags_host_h5) $(h5_src) -o $@ \
	  $(hdf5_libs) $(shell pkg-config --libs json-c libseccomp) $(call rpath,)

# objects of a test folder's files that are no tests themselves
helpers = $(patsubst %.c,$(B)/%.o,$(filter-out $(wildcard $(1)test_*.c),$(wildcard $(1)*.c)))

# A test links the library, the reference build, tests/support and the other files of its folder.
.SECONDEXPANSION:
$(linked_bin): $(B)/%: $(B)/%.o $$(call helpers,$$(dir $$*)) $(support) $(ref_obj) $(B)/libmien.a
	$(CC) $(LINK) $^ -o $@ $(LIBS) $(shell pkg-config --libs cmocka 2>/dev/null) $(call rpath,/../../lib/mien) \
	  $(if $(findstring tests/h5/,$@),$(shell pkg-config --libs hdf5 2>/dev/null))

# tests of the harness and of launchers behind no slot are linked with them; others load the module
$(harness_test): %: %.o $(B)/fake/tests/cuda/harness_kernels.o \
                 $(cuda_kern:%.cu=$(B)/fake/%.o) $(fake_run)
	$(CXX) $(filter-out -MMD -MP,$(CXXFLAGS)) $^ -o $@ -Wl,-T,tests/cuda/harness/shared.ld \
	  $(shell pkg-config --libs cmocka 2>/dev/null) -ldl -lm -lpthread

-include $(shell find build/$(VARIANT) -name '*.d' 2>/dev/null)

# ---- set-up -----------------------------------------------------------------------------------
packages := $(DEB_NEED) $(if $(filter 0,$(HDF5)),,$(DEB_HDF5)) $(if $(filter 0,$(OPENCV)),,$(DEB_OPENCV)) \
            $(DEB_CHECK)

.PHONY: deps need
deps: ## install the Debian packages that a build and its tests need
	@bash tests/support/deps.sh $(packages) $(DEB_TOOLS)

# Installs what is missing before the first build; afterwards a file test.
need: build/.need-$(HDF5)-$(OPENCV)
build/.need-$(HDF5)-$(OPENCV): Makefile
	@mkdir -p build
	@bash tests/support/deps.sh $(packages)
	@touch $@

.PHONY: demo
demo: need ## build, train on the generated sample faces, evaluate: under two minutes, nothing downloaded
	@$(MAKE) --no-print-directory -j$(J) programs
	@bash tests/support/demo.sh

# ---- checks -----------------------------------------------------------------------------------
.PHONY: check check-gate tests
check: need ## everything that must hold at every change (under 2 minutes after the build)
	@$(MAKE) --no-print-directory -j$(J) programs tests
	@bash tests/support/run.sh $(B) check

tests: $(test_bin) $(fake)

check-gate: need ## longer checks: sanitizers and the full set of shapes
	@$(MAKE) --no-print-directory -j$(J) programs tests
	@bash tests/support/run.sh $(B) gate

.PHONY: check-isa
check-isa: need ## the tests whose code depends on the instruction set, under each that this CPU has
	@$(MAKE) --no-print-directory -j$(J) programs tests
	@bash tests/support/run.sh $(B) isa

.PHONY: check-all
check-all: check check-gate ## everything, full-size runs included (needs MIEN_DATA)
	@bash tests/support/run.sh $(B) all

.PHONY: check-gpu bench-gpu
check-gpu: ## what only a card can show, in ten minutes (CARRY=archive of `make dist CARRY=1`; docs/gpu.md)
	@CARRY='$(CARRY)' bash bench/gpu/check.sh
bench-gpu: ## speed on this card beside PyTorch on it, in ten minutes (CARRY as above; docs/gpu.md)
	@CARRY='$(CARRY)' bash bench/gpu/bench.sh

.PHONY: asan ubsan
asan ubsan: ## the tests under a sanitizer
	@$(MAKE) --no-print-directory SAN=$(subst asan,address,$(subst ubsan,undefined,$@)) check

.PHONY: bench
bench: need ## training and inference of classic and vgg on this machine: docs/bench.md
	@$(MAKE) --no-print-directory -j$(J) programs
	@MIEN=$(B)/mien bash bench/run.sh $(BENCH)

.PHONY: format lint
format: ## apply .clang-format
	clang-format -i $(shell git ls-files '*.c' '*.h' '*.cc' '*.cu' '*.cuh')
lint: ## rules that a compiler does not know
	@bash tests/lint/test_rules.sh

# Needs the venv of bench/peers/README.md; more options: make bench-peers PEERS_FLAGS="--what int8 ..."
PEERS_PYTHON ?= python3
PEERS_FLAGS  ?= --what train,infer,latency
.PHONY: bench-growth
bench-growth: all ## speed against batch, threads, image size and rows
	@python3 bench/growth.py --mien $(B)/mien $(GROWTH)

.PHONY: bench-peers
bench-peers: all ## Mien beside PyTorch, Keras, ONNX Runtime, OpenVINO (PEERS_PYTHON=venv/bin/python)
	@$(PEERS_PYTHON) bench/compare.py --mien $(B)/mien $(PEERS_FLAGS)

# ---- the rest ---------------------------------------------------------------------------------
.PHONY: config
config: ## which features this build has, why, and how to force them
	@printf '%-8s %-4s %-45s %s\n' feature on why force
	@printf '%-8s %-4s %-45s %s\n' hdf5 $(if $(filter 1,$(USE_HDF5)),yes,no) '$(WHY_HDF5)' 'HDF5=1 or HDF5=0'
	@printf '%-8s %-4s %-45s %s\n' opencv $(if $(filter 1,$(USE_OPENCV)),yes,no) '$(WHY_OPENCV)' 'OPENCV=1 or OPENCV=0'
	@printf '%-8s %-4s %-45s %s\n' cuda $(if $(filter 1,$(USE_CUDA)),yes,no) '$(WHY_CUDA)' 'CUDA=1 or CUDA=0'

.PHONY: install
install: all ## copy programs, library, headers and recipes to PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/mien $(DESTDIR)$(PREFIX)/include/mien \
	  $(DESTDIR)$(PREFIX)/share/mien
	install $(B)/mien $(DESTDIR)$(PREFIX)/bin/
	$(if $(filter 1,$(USE_HDF5)),install $(B)/mien-h5 $(DESTDIR)$(PREFIX)/lib/mien/)
	$(if $(filter 1,$(USE_CUDA)),install $(B)/mien-cuda.so $(DESTDIR)$(PREFIX)/lib/mien/)
	install -m 644 $(B)/libmien.a $(DESTDIR)$(PREFIX)/lib/
	install -m 644 include/mien/*.h $(DESTDIR)$(PREFIX)/include/mien/
	install -d $(DESTDIR)$(PREFIX)/lib/pkgconfig
	printf 'Name: mien\nDescription: emotion from faces: training and prediction\nVersion: %s\nCflags: -I%s/include\nLibs: -L%s/lib -lmien %s -fopenmp\n' \
	  '$(VERSION)' '$(PREFIX)' '$(PREFIX)' '$(strip $(LIBS))' > $(DESTDIR)$(PREFIX)/lib/pkgconfig/mien.pc
	cp -r configs $(wildcard models) $(DESTDIR)$(PREFIX)/share/mien/
	$(if $(filter 1,$(USE_OPENCV)),install -m 644 -D -t $(DESTDIR)$(PREFIX)/share/mien/haarcascades $(wildcard $(CASCADE)))

.PHONY: dist
dist: all ## an archive to install from; CARRY=1: with libraries and GPU tests, for a machine without them
	@$(if $(filter 1,$(CARRY)),$(MAKE) --no-print-directory -j$(J) $(filter $(B)/tests/cuda/%,$(test_bin)))
	@rm -rf $(B)/dist
	@$(MAKE) --no-print-directory install DESTDIR=$(abspath $(B)/dist/mien) PREFIX= >/dev/null
	@bash tests/support/dist.sh $(B) $(VERSION) $(COMMIT) $(CARRY)

.PHONY: clean
clean: ## remove build/
	rm -rf build

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z][a-z -]*\):.*## \(.*\)/\1\t\2/p' $(firstword $(MAKEFILE_LIST)) | \
	  awk -F'\t' '{printf "  %-18s %s\n", $$1, $$2}'
