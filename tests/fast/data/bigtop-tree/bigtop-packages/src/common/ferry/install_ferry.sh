install -d "$RPM_BUILD_ROOT$1/usr/lib/ferry"
