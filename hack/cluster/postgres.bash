# An image of the PostgreSQL on this machine, since the cluster has no access to a registry.

postgres_shell=(bash sh cat chmod id ls mkdir rm sleep) # for its entry point and for debugging

# postgres_programs prints the folder of the newest PostgreSQL's programs.
postgres_programs() {
	local found
	found=$(compgen -G '/usr/lib/postgresql/*/bin/postgres' | sort -V | tail -n 1) || found=$(command -v postgres) || {
		echo "cluster: no PostgreSQL found; on Debian: apt-get install postgresql" >&2
		return 1
	}
	dirname "$(readlink -f "$found")"
}

# libraries FILE...: print the libraries that the files are linked with.
libraries() { ldd "$@" 2>/dev/null | grep -o '/[^ ]*\.so[^ ]*' | grep -v ':$' | sort -u; }

# pack_postgres FILE: create an image with the server and its tools at their own paths, their libraries and a shell. It has
# an account for each of the usual ids of postgres.
pack_postgres() {
	local folder root bin modules share file name
	bin=$(postgres_programs)
	modules=$("$bin/pg_config" --pkglibdir)
	share=$("$bin/pg_config" --sharedir)
	folder=$(mktemp -d "$state/images/XXXXXX")
	root=$folder/root
	mkdir -p "$root"/{usr/bin,usr/lib,usr/lib64,etc,tmp,run,var/run/postgresql,docker-entrypoint-initdb.d}
	chmod 1777 "$root/tmp" "$root/var/run/postgresql"
	ln -s usr/bin "$root/bin"
	ln -s usr/lib "$root/lib"
	ln -s usr/lib64 "$root/lib64"

	mkdir -p "$root$bin" "$root$modules" "$root$share" "$root/usr/share"
	for name in postgres initdb pg_ctl pg_isready psql pg_dump pg_controldata; do
		cp "$bin/$name" "$root$bin/"
	done
	for file in "$modules"/*.so; do
		[[ $file == */llvmjit.so ]] || cp "$file" "$root$modules/" # larger than all other files together
	done
	cp -r "$share/." "$root$share"
	cp -r /usr/share/zoneinfo "$root/usr/share/"
	if [[ -d /usr/lib/locale/C.utf8 ]]; then
		mkdir -p "$root/usr/lib/locale"
		cp -r /usr/lib/locale/C.utf8 "$root/usr/lib/locale/"
	fi
	for name in "${postgres_shell[@]}"; do
		cp --dereference "$(command -v "$name")" "$root/usr/bin/$name"
	done
	for file in $(libraries "$root$bin"/* "$root$modules"/*.so "$root"/usr/bin/*); do
		install -D --mode 0755 "$(readlink -f "$file")" "$root$file"
	done

	install -m 0755 "$here/postgres/entrypoint" "$root/usr/bin/docker-entrypoint"
	printf 'postgres:x:%s:%s::/tmp:/bin/bash\n' 999 999 70 70 >"$root/etc/passwd"
	printf 'postgres:x:%s:\n' 999 70 >"$root/etc/group"
	pack_folder "$folder" postgres:cluster '"Entrypoint": ["docker-entrypoint"], "User": "999:999", "WorkingDir": "/", "StopSignal": "SIGINT",
		"Env": ["PATH='"$bin"':/usr/bin", "LANG=C.UTF-8", "PGDATA=/var/lib/postgresql/data"]' "$1"
}
