#!/usr/bin/env bash
# The Python package over libmien.so, against the command line (python_check.py).
. tests/cli/lib.sh
python=
for candidate in /usr/bin/python3 python3; do
    "$candidate" -c 'import numpy' 2>/dev/null && python=$candidate && break
done
if [ -z "$python" ]; then
    skip "the Python package" "there is no python3 with NumPy (Debian's python3-numpy)"
elif readelf -d "${mien%/*}/libmien.so" | grep -qE 'lib(a|t|ub)san'; then
    skip "the Python package" "the library has a sanitizer"
elif [ $have_h5 = 0 ]; then
    skip "the Python package" "this build has no mien-h5"
else
    faces 70 1 >faces.csv
    tiny_network >tiny.yaml
    export MIEN_LIBRARY=${mien%/*}/libmien.so PYTHONPATH=$root/python PYTHONDONTWRITEBYTECODE=1
    "$python" "$root/tests/cli/python_check.py" "$mien" "$root" 2>python.log || failed=1
    check "only warnings are logged" eval '! grep -v "^.all. may include data" python.log'
    MIEN_LIBRARY=$work/none.so "$python" -c 'import mien
try: mien.Model()
except mien.Error as error: print(error)' >lost.log
    check "a missing library is said, with the cure" grep -q "cannot be loaded.*none.so.*MIEN_LIBRARY" lost.log
    check "an unpacked wheel's, the build's or an installed library is found" eval 'unset MIEN_LIBRARY; "$python" -c "import mien; mien.library_path()"'
fi
finish
