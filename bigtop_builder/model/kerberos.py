"""Kerberos of a cluster."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bigtop_builder.model.base import LDAP_NAME, LDAPS_URL, PlainText, StrictModel
from bigtop_builder.model.properties import SecretReference


class Kerberos(StrictModel):
    """Kerberos for the cluster. What else it needs depends on ``kdc_type``."""

    realm: str
    """The realm: ``EXAMPLE.COM``."""
    kdc_type: Literal["mit-kdc", "active-directory", "ipa", "none"] = "mit-kdc"
    """``none``: the KDC belongs to somebody else. Ambari creates no principals and keytabs, and needs no administrator
    of the KDC; the keytabs must be on the hosts before services start."""
    kdc_hosts: list[str] = Field(default_factory=list)
    """Required, except for ``none`` with ``manage_krb5_conf: false``."""
    admin_server: str | None = None
    """Default: the first of ``kdc_hosts``."""
    admin_principal: PlainText | None = None
    """The KDC's administrator. Required, except for ``none``."""
    admin_password: SecretReference | None = None
    """Required with ``admin_principal``."""
    ldap_url: PlainText | None = Field(default=None, pattern=LDAPS_URL)
    """``ldaps://ad1.example.com``: where Ambari creates principals. Required for ``active-directory``; Active Directory
    lets nobody set passwords without TLS."""
    container_dn: PlainText | None = Field(default=None, pattern=LDAP_NAME)
    """``OU=hadoop,DC=example,DC=com``: the container of the principals. Required for ``active-directory``."""
    user_group: PlainText | None = None
    """The group that new users of the cluster join, for ``ipa``."""
    manage_krb5_conf: bool = True
    """Whether Ambari writes ``/etc/krb5.conf`` on the hosts."""

    @property
    def administrator(self) -> tuple[str, str] | None:
        """The KDC's administrator: principal and the reference to the password; None if Ambari needs none."""
        if self.kdc_type == "none" or self.admin_principal is None or self.admin_password is None:
            return None
        return self.admin_principal, self.admin_password


class Security(StrictModel):
    """Security of the cluster."""

    kerberos: Kerberos | None = None
    """Kerberos for the cluster; without it there is none."""
