// Makes the folders of init-hcfs.json in the default file system of Hadoop's configuration. The one argument is the file.
import groovy.json.JsonSlurper
import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.FileSystem
import org.apache.hadoop.fs.Path
import org.apache.hadoop.fs.permission.FsPermission

def wanted = new JsonSlurper().parse(new File(args[0]))
def conf = new Configuration()
['core-site.xml', 'hdfs-site.xml'].each { conf.addResource(new Path("/etc/hadoop/conf/$it")) }
def files = FileSystem.get(conf)

wanted.folders.each { folder ->
    def path = new Path(folder.path)
    def permission = new FsPermission(folder.mode ?: '0755')
    if (files.exists(path)) {
        println "$path is there"
        return
    }
    if (!files.mkdirs(path)) {
        System.err.println "$path cannot be made"
        System.exit(1)
    }
    // mkdirs applies the umask.
    files.setPermission(path, permission)
    if (folder.owner || folder.group) {
        files.setOwner(path, folder.owner, folder.group)
    }
    println "$path $permission ${folder.owner ?: ''}:${folder.group ?: ''}"
}
