#!/bin/sh
# Install the package for the platform's pods, and fetch weights into the image.
#
#   sh docker/install.sh cpu|gpu [MODEL ...]
#
# Run in the folder of pyproject.toml. Environment: PYTHON, the interpreter (python3); TORCH_INDEX_URL, where torch for CPUs
# comes from, empty for the ordinary index; SAM2_ADAPTER_CACHE, where weights go.
set -eu

python=${PYTHON:-python3}
target=${1:-}
[ "$#" -gt 0 ] && shift

pip_install() {
    "$python" -m pip install --no-cache-dir --disable-pip-version-check --constraint constraints.txt "$@"
}

case "$target" in
cpu)
    index=${TORCH_INDEX_URL-https://download.pytorch.org/whl/cpu}
    # Without its dependencies: those come from the ordinary index, in the next step.
    [ -z "$index" ] || pip_install --no-deps --index-url "$index" torch
    pip_install '.[dataloop,openvino]'
    ;;
gpu)
    pip_install '.[dataloop]'
    ;;
*)
    echo "usage: sh docker/install.sh cpu|gpu [MODEL ...], but got '$target'" >&2
    exit 2
    ;;
esac

for model in "$@"; do
    if [ "$target" = cpu ]; then
        # Fetches the weights and compiles them for this processor; pods with another one compile before their first large job.
        "$python" -m sam2_adapter doctor --prepare --model "$model"
    else
        "$python" -c 'import sys; from sam2_adapter.models.load import load_model; load_model(sys.argv[1])' "$model"
    fi
done

"$python" -m sam2_adapter doctor
