//! What the wall lets through is told, where somebody wants to know: enough to say what must be granted, and no more.

use crate::world::World;

fn assert_used(attack: &str, expected: &[(&str, &str)]) {
    let world = World::new();
    std::fs::write(world.path("write/data"), "own").unwrap();
    let used = world.used(&attack.replace('@', &world.root().display().to_string()));
    let used: Vec<(&str, &str)> = used
        .iter()
        .map(|(operation, target)| (operation.as_str(), target.as_str()))
        .collect();
    assert_eq!(used, expected, "of `{attack}`");
}

macro_rules! used {
    ($($name:ident: $attack:literal => $($operation:literal $target:literal),*;)*) => {
        $(#[test]
        fn $name() {
            assert_used($attack, &[$(($operation, $target)),*]);
        })*
    };
}

used! {
    reading: "read @/read/data" => "read_files" "@/read/data";
    reading_by_a_link: "read @/read/../read/data" => "read_files" "@/read/data";
    listing: "list @/read" => "read_files" "@/read/";
    looking: "see @/read/data" => "read_files" "@/read/data";
    looking_at_a_folder: "see @/read" => "read_files" "@/read/.";
    looking_for_what_is_not_there: "see @/read/nothing" =>;
    making: "write @/write/new" => "write_files" "@/write/";
    changing_attributes: "chmod @/write/data 600" => "write_files" "@/write/data";
    moving: "rename @/write/data @/write/other" => "write_files" "@/write/";
    reading_what_is_hidden: "read @/secret/key" =>;
    writing_what_is_only_read: "append @/read/data" =>;
    making_in_what_is_only_read: "write @/read/new" =>;
}
