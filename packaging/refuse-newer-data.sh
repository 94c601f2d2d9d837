# The data folder says up to which level its content was raised (by `dolmen
# upgrade finalize`). A release that knows less could not read it, so it is
# refused here, while the newer one is still installed and serving.
settings=/etc/dolmen/dolmen.toml
folder=
if [ -r $settings ]; then
    folder=$(sed -n '/^[[:space:]]*\[node\]/,/^[[:space:]]*\[[^n]/s/^[[:space:]]*data[[:space:]]*=[[:space:]]*"\(.*\)".*/\1/p' $settings | head -n 1)
fi
level=$(head -n 1 "${folder:-/var/lib/dolmen}/features" 2>/dev/null || true)
case $level in
    '' | *[!0-9]*) ;;
    *)
        if [ "$level" -gt @FEATURES@ ]; then
            echo "dolmen: the data in ${folder:-/var/lib/dolmen} is of feature level $level, and release @VERSION@ knows levels up to @FEATURES@: keep the newer release, or move the data away first" >&2
            exit 1
        fi
        ;;
esac
