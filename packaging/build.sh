#!/usr/bin/env bash
# Builds the deb and the rpm, from nothing, with one command, and prints what
# it made. Two builds of one commit give the same bytes, wherever they run.
#
# packaging/build.sh [--out DIR] [--target TRIPLE] [--version V] [--features F]
#                    [--binary FILE] [--only deb|rpm]
#
#   --out DIR       where the packages go (default: target/packages)
#   --target T      build for another machine (default: this one's kind)
#   --version V     the packages' version (default: the one of Cargo.toml)
#   --features F    cargo features besides the default ones
#   --binary FILE   pack this binary as it is, in place of building one: for
#                   tests, its bytes are whatever they are
#   --only KIND     only the deb, or only the rpm
#
# Needs cargo, gcc, git, python3, dpkg-dev, binutils, and rpm for the rpm. The
# binary needs nothing at run time beyond libc.
set -Eeuo pipefail
trap 'echo "packaging/build.sh: line $LINENO failed: $BASH_COMMAND" >&2' ERR
cd "$(dirname "$0")/.."

die() {
    echo "packaging/build.sh: $*" >&2
    exit 1
}

out=target/packages target='' version='' features='' binary='' only=''
while (($#)); do
    case $1 in
        --out | --target | --version | --features | --binary | --only)
            (($# > 1)) || die "$1 wants a value"
            printf -v "${1#--}" %s "$2"
            shift 2
            ;;
        -h | --help)
            sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"
            exit
            ;;
        *) die "unknown: $1; --help lists what there is" ;;
    esac
done
[[ $only =~ ^(deb|rpm)?$ ]] || die "--only is deb or rpm, not $only"
makes() { [[ -z $only || $only == "$1" ]]; }

wanted=(cargo:rustup gcc:gcc git:git python3:python3 objcopy:binutils
    dpkg-deb:dpkg dpkg-shlibdeps:dpkg-dev)
makes rpm && wanted+=(rpmbuild:rpm)
for want in "${wanted[@]}"; do
    command -v "${want%%:*}" >/dev/null || die "needs ${want%%:*}; on Debian it is in ${want#*:}"
done

host=$(rustc -vV | sed -n 's/^host: //p')
target=${target:-$host}
case $target in
    x86_64-*-linux-gnu) deb_arch=amd64 rpm_arch=x86_64 ;;
    aarch64-*-linux-gnu) deb_arch=arm64 rpm_arch=aarch64 ;;
    *) die "$target has no packages: x86_64 and aarch64 of linux-gnu do" ;;
esac
cargo_version=$(sed -n 's/^version = "\(.*\)"/\1/p;/^version/q' Cargo.toml)
version=${version:-$cargo_version}
[[ $version =~ ^[0-9][0-9A-Za-z.+~]*$ ]] || die "$version is no version that deb and rpm both take"

# The commit's time is the time of all that is made from it.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH LC_ALL=C.UTF-8 TZ=UTC
umask 022

mkdir -p "$out"
out=$(realpath "$out")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# No path of this machine goes into the binary; everything that is compiled by
# the target's own linker flags is compiled the same way everywhere.
build() {
    local homes=(
        "--remap-path-prefix=$PWD=."
        "--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
        "--remap-path-prefix=$(rustc --print sysroot)=/rust"
    )
    local folder=${CARGO_TARGET_DIR:-target}/dist
    # Flags are a part of each dependency's name in the cache: a folder of
    # its own keeps them out of the everyday build's.
    env RUSTFLAGS="${homes[*]}" \
        CFLAGS="-ffile-prefix-map=${CARGO_HOME:-$HOME/.cargo}=/cargo -ffile-prefix-map=$PWD=." \
        CARGO_INCREMENTAL=0 CARGO_TARGET_DIR="$folder" \
        cargo build --locked --profile dist --bin dolmen --target "$target" \
        ${features:+--features "$features"}
    binary=$folder/$target/dist/dolmen
}
[[ -n $binary ]] || build
[[ -f $binary ]] || die "$binary is not there"

# Line numbers for backtraces go into a package of their own.
cross=''
[[ $target == "$host" ]] || cross=${target%%-*}-linux-gnu-
"${cross}objcopy" --only-keep-debug "$binary" "$work/dolmen.debug"
"${cross}strip" --strip-all -o "$work/dolmen" "$binary"
build_id=$(readelf -n "$work/dolmen" | sed -n 's/.*Build ID: //p')
[[ -n $build_id ]] || die "the linker gave the binary no build id"

# Debian 12, Ubuntu 22.04 and the ninth RHEL have this libc or a newer one.
libc_max=2.34
libc=$(readelf -W --version-info "$work/dolmen" | grep -o 'GLIBC_[0-9.]*' | sed s/GLIBC_// | sort -Vu | tail -1)
[[ $(printf '%s\n' "$libc" "$libc_max" | sort -V | tail -1) == "$libc_max" ]] ||
    die "the binary wants GLIBC_$libc, newer than $libc_max"

# The pages come from the tables that parse: the binary writes them itself,
# so one of another machine needs one of this machine beside it.
manual=${DOLMEN_MANUAL:-$binary}
[[ $target == "$host" || -n ${DOLMEN_MANUAL:-} ]] ||
    die "DOLMEN_MANUAL must name a dolmen of this machine's kind, which writes the man pages"
"$manual" manual --out "$work/manual"

# The highest level of data that this release reads.
features_max=$("$manual" upgrade supports)
[[ $features_max =~ ^[0-9]+$ ]] || die "$manual does not say which feature level it knows"

python3 packaging/notices.py --target "$target" --version "$version" --out "$work"
cat >"$work/changelog" <<EOF
dolmen ($version) stable; urgency=medium

  * What changed is in CHANGELOG.md.gz, beside this file.

 -- $(cat packaging/maintainer)  $(date -R -d "@$SOURCE_DATE_EPOCH")
EOF

# Lays the files of `packaging/files` under a root, and lists those that are
# kept when edited in $work/conffiles.
lay() {
    local kind=$1 root=$2 line who mode source destination path
    : >"$work/conffiles"
    while read -r who mode source destination; do
        case $who in
            '' | '#'*) continue ;;
            both | "$kind") ;;
            conf) echo "/$destination" >>"$work/conffiles" ;;
            deb | rpm) continue ;;
            *) die "packaging/files: $who is not one of both, conf, deb, rpm" ;;
        esac
        if [[ $source == - ]]; then
            install -d -m "$mode" "$root/$destination"
            continue
        fi
        local matched=0
        # A source may be a pattern, and is left unquoted for it.
        for path in ${source/#@out/$work}; do
            [[ -f $path ]] || continue
            matched=1
            local to=$root/$destination
            [[ $destination != */ ]] || to+=${path##*/}
            install -D -m "$mode" "$path" "$to"
        done
        ((matched)) || die "packaging/files: nothing is called $source"
    done <packaging/files
    find "$root/usr/share/man" -type f -exec gzip -9n {} +
    # Debian wants long texts compressed, and a changelog always.
    find "$root/usr/share/doc" -type f \( -size +3k -o -name 'changelog*' -o -name 'CHANGELOG*' \) \
        ! -name copyright ! -path '*/examples/*' -exec gzip -9n {} +
    find "$root" -depth -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
}

# A script of the package, with what it has to know of this release.
filled() {
    sed -e '/@REFUSE_NEWER_DATA@/{r packaging/refuse-newer-data.sh
        d}' "$1" | sed "s/@FEATURES@/$features_max/g;s/@VERSION@/$version/g"
}

# control.tar's part: fields, scripts, sums.
deb_control() {
    local root=$1 name=$2 depends=$3
    {
        echo "Package: $name"
        echo "Version: $version"
        echo "Architecture: $deb_arch"
        echo "Maintainer: $(cat packaging/maintainer)"
        echo "Installed-Size: $(du -k --apparent-size -s "$root" | cut -f1)"
        echo "Depends: $depends"
        cat
    } >"$work/control"
    # Conffiles have sums of their own.
    (cd "$root" && find . -type f ! -path './DEBIAN/*' ! -path './etc/*' -printf '%P\0' | sort -z |
        xargs -0r md5sum) >"$work/md5sums"
    install -D -m 0644 "$work/control" "$root/DEBIAN/control"
    install -m 0644 "$work/md5sums" "$root/DEBIAN/md5sums"
}

deb_of() {
    local root=$1 file=$2
    find "$root" -depth -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
    dpkg-deb --root-owner-group -Zxz --threads-max=1 --build "$root" "$file" >/dev/null
    made+=("$file")
}

deb() {
    local root=$work/deb
    lay deb "$root"
    mkdir -p "$work/shlibs/debian"
    printf 'Source: dolmen\n\nPackage: dolmen\nArchitecture: any\nDepends: ${shlibs:Depends}\n' \
        >"$work/shlibs/debian/control"
    local libc_depends
    libc_depends=$(cd "$work/shlibs" && dpkg-shlibdeps -O "$work/dolmen" 2>/dev/null |
        sed -n 's/^shlibs:Depends=//p')
    deb_control "$root" dolmen \
        "$libc_depends, systemd | systemd-standalone-sysusers | systemd-sysusers" \
        <packaging/debian/control
    install -m 0644 "$work/conffiles" "$root/DEBIAN/conffiles"
    local script
    for script in preinst postinst prerm postrm; do
        filled "packaging/debian/$script" >"$root/DEBIAN/$script"
        chmod 0755 "$root/DEBIAN/$script"
    done
    deb_of "$root" "$out/dolmen_${version}_$deb_arch.deb"

    root=$work/dbgsym
    install -D -m 0644 "$work/dolmen.debug" \
        "$root/usr/lib/debug/.build-id/${build_id:0:2}/${build_id:2}.debug"
    "${cross}objcopy" --compress-debug-sections "$root"/usr/lib/debug/.build-id/*/*.debug
    install -d "$root/usr/share/doc"
    ln -s dolmen "$root/usr/share/doc/dolmen-dbgsym"
    deb_control "$root" dolmen-dbgsym "dolmen (= $version)" <<EOF
Section: debug
Priority: optional
Auto-Built-Package: debug-symbols
Build-Ids: $build_id
Description: debug symbols for dolmen
EOF
    deb_of "$root" "$out/dolmen-dbgsym_${version}_$deb_arch.deb"
}

rpm_() {
    local root=$work/rpm
    lay rpm "$root"
    # Every file, and the folders that are ours alone.
    {
        (cd "$root" && find . -type f -printf '/%P\n' | sort) | while read -r path; do
            if grep -qxF "$path" "$work/conffiles"; then
                echo "%config(noreplace) $path"
            elif [[ $path == /usr/share/doc/* || $path == /usr/share/man/* ]]; then
                echo "%doc $path"
            elif [[ $path == /usr/share/licenses/* ]]; then
                echo "%license $path"
            else
                echo "$path"
            fi
        done
        printf '%%dir %s\n' /etc/dolmen /etc/dolmen/hw-profiles.d /usr/share/dolmen \
            /usr/share/dolmen/hw-profiles /usr/share/doc/dolmen /usr/share/doc/dolmen/examples \
            /usr/share/licenses/dolmen
    } >"$work/rpm.files"
    filled packaging/rpm/dolmen.spec >"$work/dolmen.spec"
    rpmbuild -bb --quiet --target "$rpm_arch" \
        --define "_topdir $work/rpmbuild" --define "stage $root" --define "list $work/rpm.files" \
        --define "ours $version" \
        --define "packager $(cat packaging/maintainer)" \
        --define "changed $(date -d "@$SOURCE_DATE_EPOCH" '+%a %b %d %Y')" \
        "$work/dolmen.spec"
    local file=$out/dolmen-$version-1.$rpm_arch.rpm
    cp "$work/rpmbuild/RPMS/$rpm_arch/dolmen-$version-1.$rpm_arch.rpm" "$file"
    made+=("$file")
}

made=()
if makes deb; then deb; fi
if makes rpm; then rpm_; fi

echo "binary: $(stat -c %s "$work/dolmen") bytes stripped, wants GLIBC_$libc at most, build id $build_id"
installed=$(find "$work/${only:-deb}" -type f ! -path '*/DEBIAN/*' -printf '%s\n' | awk '{ sum += $1 } END { print sum }')
echo "installed: $installed bytes"
for file in "${made[@]}"; do
    echo "$(stat -c %s "$file") bytes, sha256 $(sha256sum "$file" | cut -d' ' -f1)  $file"
done
